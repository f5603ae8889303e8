import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'

type Holding<T> = Exclude<T, false | 0 | '' | null | undefined>

export interface UntilOptions {
  /** Timeout in ms. Default 30,000, so that a busy machine does not fail a test. */
  readonly within?: number
  /** Names the condition in the error. Default: its source. */
  readonly what?: string
}

/**
 * Waits until the condition holds and returns its value. A condition that throws does not hold yet, so it may use `expect`.
 * Checks at once, then after pauses that grow to 20 ms; a check that takes longer, such as one that starts a process, pauses as long as it took.
 * @example const booked = await until(async () => (await world.events('order.booked'))[0], { within: 5_000 })
 */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<Holding<T>> {
  const { within = 30_000, what = condition.toString() } = options
  const deadline = performance.now() + within
  for (let ms = 1; ; ms = Math.min(ms * 2, 20)) {
    const began = performance.now()
    const outcome = await attempt(condition)
    if ('value' in outcome && outcome.value) return outcome.value as Holding<T>
    const now = performance.now()
    if (now >= deadline) {
      const last = 'value' in outcome ? inspect(outcome.value) : String(outcome.error)
      throw new Error(`condition not met within ${within} ms: ${what}\nlast value: ${last}`)
    }
    await pause(Math.max(ms, now - began))
  }
}

async function attempt<T>(condition: () => T | Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await condition() }
  } catch (error) {
    return { error }
  }
}

/** Everything that an iterable yields. */
export async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(iterable)
}
