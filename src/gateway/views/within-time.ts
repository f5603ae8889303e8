import { setTimeout } from 'node:timers/promises'
import { TidingsError } from '../../errors.ts'
import type { QueryIndex } from '../../trace/index/open.ts'

/** Asks the index, but does not wait for long where it is being built. @throws E_BUSY */
export const withinTime =
  (query: QueryIndex, maxWaitMs = 10_000): QueryIndex =>
  async question => {
    const stop = new AbortController()
    const late = setTimeout(maxWaitMs, undefined, { signal: stop.signal }).then(() => {
      const problem = 'the index of the log is still being built, which takes minutes for millions of events'
      throw new TidingsError('E_BUSY', problem, { retryable: true })
    })
    try {
      return await Promise.race([query(question), late])
    } finally {
      stop.abort()
      late.catch(() => {})
    }
  }
