import { TidingsError } from '../errors.ts'

/** Waits for what is under way, until the cut at the latest. */
export async function settledOrAborted(ended: Promise<unknown>, cut: AbortSignal | undefined): Promise<void> {
  if (cut?.aborted) return
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const onCut = () => resolve()
  cut?.addEventListener('abort', onCut)
  await Promise.race([ended, late])
  cut?.removeEventListener('abort', onCut)
}

/** What work that is given back hears; who works it next is not told. */
export const workerStopped = () =>
  new TidingsError('E_WORKER_STOPPED', 'the worker stops, and another one is handed the call', { retryable: true })
