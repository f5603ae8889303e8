import { settledOrAborted } from '../bus/abort.ts'
import { maxTimerMs } from '../bus/clock.ts'

export interface Stoppable {
  /** Waits for running work until `abort` fires. */
  stop(abort: AbortSignal): Promise<void> | void
}

/** Returning work takes milliseconds, or as long as the broker needs. */
const graceMs = 5_000

/** Stops the parts in order. Running work has `within` ms to end and is then returned. If that hangs, it is abandoned: leases expire. */
export async function stopAll(parts: readonly Stoppable[], within: number): Promise<void> {
  const [abort, giveUp] = [new AbortController(), new AbortController()]
  const timers = [
    setTimeout(() => abort.abort(), Math.min(within, maxTimerMs)),
    setTimeout(() => giveUp.abort(), Math.min(within + graceMs, maxTimerMs)),
  ]
  const stopped = (async () => {
    for (const part of parts) await part.stop(abort.signal)
  })()
  try {
    await settledOrAborted(stopped, giveUp.signal)
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}
