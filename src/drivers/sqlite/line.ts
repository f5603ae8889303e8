import { Worker } from 'node:worker_threads'
import type { EncodedEvent } from '../../bus/driver.ts'
import { log } from '../../bus/telemetry/log.ts'
import { TidingsError } from '../../errors.ts'
import type { Failure, FromWriter, Op, Reply, Result, ToWriter, WriterOptions } from './protocol.ts'
import { text } from './schema.ts'

export interface Pending {
  readonly entries: readonly EncodedEvent[]
  readonly resolve: (result: Result) => void
  readonly reject: (error: TidingsError) => void
}

export interface LineListener {
  onReply(reply: Reply, done: readonly Pending[]): void
  onFailure(): void
}

/** What takes ops: the line to the writer, or `noWriter`. */
export type Writes = Pick<Line, 'submit' | 'close'>

/** Where the log is only read. */
export const noWriter: Writes = {
  submit: () => Promise.reject(readOnly()),
  close: () => Promise.resolve(),
}

const source = import.meta.url.endsWith('.ts') ? './writer/worker.ts' : './writer/worker.js'

/** The main thread's end of the line to the writer: ops out, first in first out, and replies back. */
export class Line {
  readonly #worker: Worker
  readonly #listener: LineListener
  #epoch = 0
  #outgoing: Op[] = []
  #pending: Pending[] = []
  #first = 0
  #dead: TidingsError | undefined
  #isReplaced = false
  readonly #ended: Promise<void>

  constructor(options: WriterOptions, listener: LineListener) {
    this.#listener = listener
    this.#worker = new Worker(new URL(source, import.meta.url), { workerData: options })
    this.#worker.on('message', (message: FromWriter) => this.#receive(message))
    this.#worker.on('error', error => this.#die(unavailable(text(error))))
    this.#ended = new Promise(resolve => this.#worker.on('exit', () => resolve()))
    void this.#ended.then(() => this.#die(unavailable('the writer has ended')))
  }

  submit(op: Op, entries: readonly EncodedEvent[] = none): Promise<Result> {
    if (this.#dead) return Promise.reject(this.#dead)
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush())
    if (this.#outgoing.push(op) >= 32) this.#flush()
    return new Promise((resolve, reject) => this.#pending.push({ entries, resolve, reject }))
  }

  /** Resolves when the writer thread is gone; nothing can be submitted any more. */
  async close(): Promise<void> {
    const closed = this.submit(['close'])
    this.#dead = new TidingsError('E_BUS_CLOSED', 'The log is closed')
    await closed.catch(() => this.#worker.terminate())
    await this.#ended
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return
    const message: ToWriter = [this.#epoch, this.#outgoing]
    this.#outgoing = []
    this.#worker.postMessage(message)
  }

  #receive(message: FromWriter): void {
    if (message.kind === 'ping') this.#worker.postMessage([this.#epoch, []] satisfies ToWriter)
    else if (message.kind === 'done') this.#listener.onReply(message, this.#take(message.results.length))
    else this.#fail(message)
  }

  #take(count: number): Pending[] {
    const done = this.#pending.slice(this.#first, this.#first + count)
    this.#first += count
    if (this.#first * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#first)
      this.#first = 0
    }
    return done
  }

  /** Everything submitted until now is void, also what the writer has not seen yet. */
  #fail({ epoch, reason, code }: Failure): void {
    this.#epoch = epoch
    const error = unavailable(reason, code)
    if (code === 'E_LOG_REPLACED' && !this.#isReplaced) say(error)
    this.#isReplaced = code === 'E_LOG_REPLACED'
    this.#listener.onFailure()
    this.#rejectAll(error)
  }

  #die(error: TidingsError): void {
    this.#dead ??= error
    this.#rejectAll(this.#dead)
  }

  #rejectAll(error: TidingsError): void {
    const pending = this.#take(this.#pending.length - this.#first)
    this.#outgoing = []
    for (const { reject } of pending) reject(error)
  }
}

const none: readonly EncodedEvent[] = []

export function unavailable(reason: string, code: Failure['code'] = 'E_LOG_UNAVAILABLE'): TidingsError {
  return new TidingsError(code, `The log could not be written: ${reason}`, { retryable: true })
}

/** Nobody may be asking, and whoever looks at the process must see it. */
function say({ code, message, next }: TidingsError): void {
  if (log.error) log.error({ code, next }, message)
  else process.emitWarning(`${message}. ${next}`, { code })
}

export const readOnly = () => new TidingsError('E_LOG_READ_ONLY', 'The log was opened to be read only')
