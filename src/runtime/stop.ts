import { settledOrAborted } from '../bus/abort.ts'

export interface Stoppable {
  /** Waits for what is under way until the cut, and then no longer. */
  stop(cut: AbortSignal): Promise<void> | void
}

const maxTimerMs = 2 ** 31 - 1
/** Giving back takes milliseconds, or as long as the broker wants. */
const graceMs = 5_000

/**
 * Stops one after the other. What is under way has `within` ms to end, then it is given back. Where even that hangs, as
 * with a broker that holds everything back, it is left: leases end by themselves.
 */
export async function stopAll(parts: readonly Stoppable[], within: number): Promise<void> {
  const [cut, left] = [new AbortController(), new AbortController()]
  const timers = [
    setTimeout(() => cut.abort(), Math.min(within, maxTimerMs)),
    setTimeout(() => left.abort(), Math.min(within + graceMs, maxTimerMs)),
  ]
  const stopped = (async () => {
    for (const part of parts) await part.stop(cut.signal)
  })()
  try {
    await settledOrAborted(stopped, left.signal)
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}
