import { ClientError } from '../../../src/client/errors.ts'
import type { FromWorker, Origin, ToWorker, TraceUpdate, WorkerCalls, WrittenText } from '../worker/protocol.ts'

/* The worker of this page, which is started when it is first needed. */

export interface TraceListener {
  update(update: TraceUpdate): void
  texts(texts: readonly WrittenText[]): void
  failed(error: unknown): void
}

let worker: Worker | undefined
let last = 0
const pending = new Map<number, PromiseWithResolvers<unknown>>()
const listeners = new Map<number, TraceListener>()

/** Starts the worker, which loads its code. */
export function startWorker(): Worker {
  if (worker) return worker
  worker = new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' })
  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => take(data))
  worker.addEventListener('error', ({ message }) => {
    const error = new Error(`the worker of this page failed: ${message || 'its code was not loaded'}`)
    for (const { reject } of pending.values()) reject(error)
    for (const listener of listeners.values()) listener.failed(error)
    pending.clear()
  })
  return worker
}

function take(message: FromWorker): void {
  if ('call' in message) {
    const answer = pending.get(message.call)
    pending.delete(message.call)
    if ('error' in message) answer?.reject(new ClientError(message.error, message.status))
    else answer?.resolve(message.result)
    return
  }
  const listener = listeners.get(message.trace)
  if ('error' in message) listener?.failed(new ClientError(message.error, message.status))
  else if ('update' in message) listener?.update(message.update)
  else listener?.texts(message.texts)
}

const send = (message: ToWorker) => startWorker().postMessage(message)

/** Calls a function of the worker. @throws ClientError */
export function inWorker<Name extends keyof WorkerCalls>(
  name: Name,
  ...args: Parameters<WorkerCalls[Name]>
): Promise<ReturnType<WorkerCalls[Name]>> {
  const call = ++last
  const answer = Promise.withResolvers<unknown>()
  pending.set(call, answer)
  send({ call, name, args })
  return answer.promise as Promise<ReturnType<WorkerCalls[Name]>>
}

/** Opens a correlation in the worker, and reports its lines until it is closed. */
export function openTrace(origin: Origin, correlation: string, listener: TraceListener) {
  const trace = ++last
  listeners.set(trace, listener)
  send({ open: trace, origin, correlation })
  return {
    find: (event: string) => inWorker('find', trace, event),
    close() {
      listeners.delete(trace)
      send({ close: trace })
    },
  }
}
