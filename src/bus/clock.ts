/*
 * Two clocks. Due times follow the wall clock, which people and time services set and which runs while the machine sleeps. Delays,
 * heartbeats and timeouts follow the monotonic clock (`performance.now()`), which cannot be set and may stop while the machine sleeps.
 * JavaScript timers stop then too, so nothing that is due by the wall clock relies on a long timer.
 */

/** The wall clock, in ms since the epoch. */
export type Now = () => number

/** The longest delay of a timer of the language, in ms. Source: WHATWG HTML, timers: a longer one would fire at once. */
export const maxTimerMs = 2 ** 31 - 1

/** How often a wait for a due time reads the wall clock. */
export const clockPollIntervalMs = 1_000

/** A smaller difference may be drift, or a process that was not scheduled between two reads. */
const minClockJumpMs = 500

/** The wall clock plus an offset in shared memory (a 64-bit integer, ms), so that several threads read the same time. */
export function movedClock(offset: SharedArrayBuffer): Now {
  const cell = new BigInt64Array(offset)
  return () => Date.now() + Number(Atomics.load(cell, 0))
}

/** Notices that the wall clock was set, or that the machine slept. */
export class ClockWatch {
  readonly #now: Now
  /** The wall clock minus the monotonic clock. */
  #lead: number

  constructor(now: Now) {
    this.#now = now
    this.#lead = now() - performance.now()
  }

  /** By how many ms the wall clock was moved since the last call. */
  moved(): number {
    const before = this.#lead
    this.#lead = this.#now() - performance.now()
    const by = this.#lead - before
    return Math.abs(by) < minClockJumpMs ? 0 : by
  }
}

/** An upper bound on elapsed time. The wall clock includes sleep of the machine, and the monotonic clock cannot be set back. */
export class Stopwatch {
  readonly #now: Now
  #wall = 0
  #monotonic = 0

  constructor(now: Now) {
    this.#now = now
    this.restart()
  }

  restart(): void {
    this.#wall = this.#now()
    this.#monotonic = performance.now()
  }

  /** The maximum number of ms that may have passed. */
  get elapsed(): number {
    return Math.max(this.#now() - this.#wall, performance.now() - this.#monotonic)
  }
}
