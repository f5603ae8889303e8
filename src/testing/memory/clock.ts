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

/** A longer delay does not fit into a timer of the language. */
const maxTimerMs = 2 ** 31 - 1
/** How often the wall clock is read, because a person may set it. */
const pollIntervalMs = 20

/** The clocks of the machine. `now`: another wall clock, which a test sets. */
export class SystemClock implements Clock {
  readonly now: Now
  readonly #waiting = new Set<{ readonly due: number; readonly callback: () => void }>()
  #poll: NodeJS.Timeout | undefined

  constructor(now: Now = Date.now) {
    this.now = now
  }

  after(ms: number, callback: () => void): () => void {
    const due = performance.now() + ms
    let timer: NodeJS.Timeout
    const wait = () => {
      const left = due - performance.now()
      if (left <= 0) callback()
      else timer = setTimeout(wait, Math.min(Math.ceil(left), maxTimerMs)).unref()
    }
    timer = setTimeout(wait, Math.min(Math.ceil(ms), maxTimerMs)).unref()
    return () => clearTimeout(timer)
  }

  at(due: number, callback: () => void): () => void {
    const wait = { due, callback }
    this.#waiting.add(wait)
    this.#poll ??= setInterval(() => this.#callDue(), pollIntervalMs).unref()
    return () => void this.#waiting.delete(wait)
  }

  #callDue(): void {
    const now = this.now()
    for (const wait of this.#waiting) if (wait.due <= now && this.#waiting.delete(wait)) wait.callback()
    if (this.#waiting.size > 0) return
    clearInterval(this.#poll)
    this.#poll = undefined
  }
}

/** A clock that stands still until a test moves it, so that a wait of a month takes no time. */
export class VirtualClock implements Clock {
  #now: number
  readonly #timers = new Set<{ readonly due: number; readonly callback: () => void }>()

  /** `start`: ms since the epoch. */
  constructor(start: number) {
    this.#now = start
  }

  readonly now: Now = () => this.#now

  after(ms: number, callback: () => void): () => void {
    return this.at(this.#now + ms, callback)
  }

  at(due: number, callback: () => void): () => void {
    const timer = { due: Math.ceil(due), callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** When the next timer is due, which may be now; undefined if there is none. */
  get next(): number | undefined {
    if (this.#timers.size === 0) return undefined
    let first = Infinity
    for (const { due } of this.#timers) first = Math.min(first, due)
    return Math.max(first, this.#now)
  }

  /** Moves on to this time, never back, and calls what is due then. */
  moveTo(ms: number): void {
    this.#now = Math.max(ms, this.#now)
    const due = [...this.#timers].filter(timer => timer.due <= this.#now).toSorted((a, b) => a.due - b.due)
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback()
  }
}
