import { setTimeout as sleep } from 'node:timers/promises'

const minPauseMs = 50
const maxPauseMs = 1_000

/** Repeats work that fails because the broker is away. Ends without a result when nobody needs it any more. */
export async function untilDone<T>(work: () => Promise<T>, isOver: () => boolean): Promise<T | undefined> {
  for (let pauseMs = minPauseMs; !isOver(); pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
    try {
      return await work()
    } catch {
      await sleep(pauseMs)
    }
  }
  return undefined
}
