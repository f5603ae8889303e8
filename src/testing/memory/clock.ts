import type { Now } from '../../driver.ts'

/** Time and timers, as a log in memory needs them. */
export interface Clock {
  /** The wall clock, in ms since the epoch. */
  readonly now: Now
  /** Calls back after `ms` by the monotonic clock. Returns the function that cancels it. */
  after(ms: number, callback: () => void): () => void
  /** Calls back, but never at once, when the wall clock has reached `due`. Returns the function that cancels it. */
  at(due: number, callback: () => void): () => void
}

/** Waits read the clocks instead of trusting one long timer, because a person may set the wall clock. */
const pollIntervalMs = 20

/** The clocks of the machine. `now`: another wall clock, which a test sets. */
export class SystemClock implements Clock {
  readonly now: Now
  readonly #waits = new Set<{ readonly isOver: () => boolean; readonly callback: () => void }>()
  #poll: NodeJS.Timeout | undefined

  constructor(now: Now = Date.now) {
    this.now = now
  }

  after(ms: number, callback: () => void): () => void {
    const due = performance.now() + ms
    return this.#wait(() => performance.now() >= due, callback)
  }

  at(due: number, callback: () => void): () => void {
    return this.#wait(() => this.now() >= due, callback)
  }

  #wait(isOver: () => boolean, callback: () => void): () => void {
    const wait = { isOver, callback }
    this.#waits.add(wait)
    this.#poll ??= setInterval(() => this.#callBack(), pollIntervalMs).unref()
    return () => void this.#waits.delete(wait)
  }

  #callBack(): void {
    for (const wait of this.#waits) if (wait.isOver() && this.#waits.delete(wait)) wait.callback()
    if (this.#waits.size > 0) return
    clearInterval(this.#poll)
    this.#poll = undefined
  }
}
