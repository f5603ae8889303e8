import { setTimeout as pause } from 'node:timers/promises'
import { inspect } from 'node:util'

type Holding<T> = Exclude<T, false | 0 | '' | null | undefined>

export interface Patience {
  /** Milliseconds; 15,000 unless told: a machine that is busy with others is no failure. */
  readonly within?: number
  /** What is waited for, for the text of the failure; the source of the condition unless told. */
  readonly what?: string
}

/**
 * Waits until the condition holds and returns its value. A condition that throws does not hold yet, so `expect` may be
 * used inside. There is no fixed sleep: the condition is asked at once, and again after pauses that grow to 20 ms.
 */
export async function until<T>(condition: () => T | Promise<T>, patience: Patience = {}): Promise<Holding<T>> {
  const { within = 15_000, what = condition.toString() } = patience
  const deadline = performance.now() + within
  for (let ms = 1; ; ms = Math.min(ms * 2, 20)) {
    const outcome = await attempt(condition)
    if ('value' in outcome && outcome.value) return outcome.value as Holding<T>
    if (performance.now() >= deadline) {
      const last = 'value' in outcome ? inspect(outcome.value) : String(outcome.error)
      throw new Error(`Waited ${within} ms in vain for: ${what}\nLast seen: ${last}`)
    }
    await pause(ms)
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
