import { setTimeout } from 'node:timers/promises'
import { TidingsError } from '../errors.ts'
import { backoff } from './delivery.ts'

/** Reads the log, at growing intervals while it is unavailable. Rejects with the reason of the signal, or with an error that is not retryable. */
export async function whenAvailable<T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ; ) {
    signal.throwIfAborted()
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof TidingsError && error.retryable)) throw error
      await setTimeout(backoff(++failures), undefined, { signal, ref: false }).catch(() => {})
    }
  }
}
