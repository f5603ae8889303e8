import { TidingsError } from '../errors.ts'

/** Resolves when the work has settled, or when `abort` fires. */
export async function settledOrAborted(settled: Promise<unknown>, abort: AbortSignal | undefined): Promise<void> {
  if (abort?.aborted) return
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  const onAbort = () => resolve()
  abort?.addEventListener('abort', onAbort)
  await Promise.race([settled, aborted])
  abort?.removeEventListener('abort', onAbort)
}

/** What wakes the callers that wait for a promise. */
const waiting = new WeakMap<Promise<unknown>, Set<() => void>>()

/**
 * The outcome of the promise, or the reason of the signal if that aborts before. For a promise that lives long: `Promise.race` would leave a
 * reaction on it for every call.
 */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let wakers = waiting.get(promise)
  if (!wakers) {
    const added = new Set<() => void>()
    const wakeAll = () => {
      waiting.delete(promise)
      for (const wake of added) wake()
    }
    waiting.set(promise, (wakers = added))
    promise.then(wakeAll, wakeAll)
  }
  const { promise: woken, resolve } = Promise.withResolvers<void>()
  wakers.add(resolve)
  signal.addEventListener('abort', () => resolve(), { once: true })
  if (signal.aborted) resolve()
  await woken
  wakers.delete(resolve)
  if (waiting.has(promise)) signal.throwIfAborted()
  return promise
}

/** The abort reason for work that the worker returns when it stops. */
export const workerStopped = () =>
  new TidingsError('E_WORKER_STOPPED', 'the worker stopped before the call settled; another worker receives the call', {
    retryable: true,
  })
