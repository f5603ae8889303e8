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

/** The abort reason for work that the worker returns when it stops. */
export const workerStopped = () =>
  new TidingsError('E_WORKER_STOPPED', 'the worker stopped before the call settled; another worker receives the call', {
    retryable: true,
  })
