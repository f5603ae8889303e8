import { setTimeout } from 'node:timers/promises'
import { TidingsError } from '../../src/errors.ts'

/** Tries again while the log cannot be written. */
export async function untilStored<T>(store: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await store()
    } catch (error) {
      if (!(error instanceof TidingsError && error.retryable) || signal?.aborted) throw error
      await setTimeout(200)
    }
  }
}
