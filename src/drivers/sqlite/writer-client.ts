import type { Worker } from 'node:worker_threads'
import type { EncodedEvent } from '../../bus/driver.ts'
import { log } from '../../bus/telemetry/log.ts'
import { TidingsError } from '../../errors.ts'
import { describeThrown } from '../../thrown.ts'
import type { OpOf, OpResult, OpResults, WriterFailure, WriterOp, WriterReply } from './protocol.ts'
import { type MessageFromWriter, type MessageToWriter, packOps, unpackDeliveries } from './wire.ts'

export interface PendingOp {
  /** The events that the operation stores. */
  readonly entries: readonly EncodedEvent[]
  readonly resolve: (result: OpResult) => void
  readonly reject: (error: TidingsError) => void
}

export interface WriterListener {
  /** `done`: the operations that the reply answers, in order. */
  onReply(reply: WriterReply, done: readonly PendingOp[]): void
  onFailure(): void
}

/** The writer as the rest of the driver sees it: a `WriterClient`, or `readOnlySubmitter`. */
export type OpSubmitter = Pick<WriterClient, 'submit' | 'close'>

export const readOnlySubmitter: OpSubmitter = {
  submit: () => Promise.reject(readOnlyError()),
  close: () => Promise.resolve(),
}

const maxOpsPerMessage = 32
const noEntries: readonly EncodedEvent[] = []

/** The main thread's end of the channel to the writer thread. */
export class WriterClient {
  readonly #worker: Worker
  readonly #listener: WriterListener
  #epoch = 0
  #outgoing: WriterOp[] = []
  /** Operations without a reply; those before `#first` have one and are removed later. */
  #pending: PendingOp[] = []
  #first = 0
  #closedError: TidingsError | undefined
  #isReplaced = false
  readonly #exited: Promise<void>

  constructor(worker: Worker, listener: WriterListener) {
    this.#listener = listener
    this.#worker = worker
    // With `node --watch` a thread also sends the names of the files that it loads.
    this.#worker.on('message', (message: MessageFromWriter) => 'kind' in message && this.#receive(message))
    this.#worker.on('error', error => this.#end(logUnavailable(describeThrown(error))))
    this.#exited = new Promise(resolve => this.#worker.on('exit', () => resolve()))
    void this.#exited.then(() => this.#end(logUnavailable('the writer thread has ended')))
  }

  /** @throws E_LOG_UNAVAILABLE, E_LOG_REPLACED, E_BUS_CLOSED */
  submit<K extends keyof OpResults>(op: OpOf<K>, entries: readonly EncodedEvent[] = noEntries): Promise<OpResults[K]> {
    if (this.#closedError) return Promise.reject(this.#closedError)
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush())
    if (this.#outgoing.push(op) >= maxOpsPerMessage) this.#flush()
    const answered = new Promise<OpResult>((resolve, reject) => this.#pending.push({ entries, resolve, reject }))
    return answered as Promise<OpResults[K]>
  }

  /** Resolves when the writer thread has ended; later operations are rejected. */
  async close(): Promise<void> {
    const closed = this.submit({ kind: 'close' })
    this.#closedError = logClosed()
    await closed.catch(() => this.#worker.terminate())
    await this.#exited
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return
    const ops = this.#outgoing
    this.#outgoing = []
    this.#send(ops)
  }

  #send(ops: readonly WriterOp[]): void {
    this.#worker.postMessage({ epoch: this.#epoch, ops: packOps(ops) } satisfies MessageToWriter)
  }

  #receive(message: MessageFromWriter): void {
    if (message.kind === 'ping') return this.#send([])
    if (message.kind === 'failed') return this.#rejectEpoch(message)
    const done = this.#takePending(message.results.length)
    this.#listener.onReply({ ...message, deliveries: unpackDeliveries(message.deliveries) }, done)
  }

  #takePending(count: number): PendingOp[] {
    const taken = this.#pending.slice(this.#first, this.#first + count)
    this.#first += count
    if (this.#first * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#first)
      this.#first = 0
    }
    return taken
  }

  /** Rejects all that was submitted until now, also what the writer has not received yet. */
  #rejectEpoch({ epoch, reason, code }: WriterFailure): void {
    this.#epoch = epoch
    const error = logUnavailable(reason, code)
    if (code === 'E_LOG_REPLACED' && !this.#isReplaced) reportReplaced(error)
    this.#isReplaced = code === 'E_LOG_REPLACED'
    this.#listener.onFailure()
    this.#rejectAll(error)
  }

  #end(error: TidingsError): void {
    this.#closedError ??= error
    this.#rejectAll(this.#closedError)
  }

  #rejectAll(error: TidingsError): void {
    const pending = this.#takePending(this.#pending.length - this.#first)
    this.#outgoing = []
    for (const { reject } of pending) reject(error)
  }
}

function logUnavailable(reason: string, code: WriterFailure['code'] = 'E_LOG_UNAVAILABLE'): TidingsError {
  return new TidingsError(code, `the log could not be written: ${reason}`, { retryable: true })
}

export const readOnlyError = () =>
  new TidingsError('E_LOG_READ_ONLY', 'the log is open for reading only, so nothing was written')

const logClosed = () => new TidingsError('E_BUS_CLOSED', 'the log is closed')

/** Reports it once even if no operation is pending: the process goes on writing to files that are not the log. */
function reportReplaced({ code, message, next }: TidingsError): void {
  if (log.error) log.error({ code, next }, message)
  else process.emitWarning(`${message}. ${next}`, { code })
}
