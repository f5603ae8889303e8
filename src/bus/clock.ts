/*
 * Two clocks. Due times are told by the wall clock: people and time services set it, and it goes on while the machine sleeps.
 * Pauses, beats and time limits are measured by the monotonic clock (`performance.now()`): nobody sets it, and while the
 * machine sleeps it may stand still. So do the timers of the language, which is why nothing that is due by the wall clock
 * relies on a long one.
 */

/** The wall clock, in ms since the epoch. */
export type Now = () => number

/** How often, in ms, whoever waits for a moment looks at the wall clock. */
export const clockPollIntervalMs = 1_000

/** Less may be drift, or a process that was not scheduled between two looks. */
const minClockJumpMs = 500

/** The wall clock, moved by the milliseconds in shared memory (a 64-bit integer): threads that have it read the same time. */
export function movedClock(offset: SharedArrayBuffer): Now {
  const cell = new BigInt64Array(offset)
  return () => Date.now() + Number(Atomics.load(cell, 0))
}

/** Notices that the wall clock was set, or that the machine slept. */
export class ClockWatch {
  readonly #now: Now
  /** Of the wall clock before the monotonic one. */
  #lead: number

  constructor(now: Now) {
    this.#now = now
    this.#lead = now() - performance.now()
  }

  /** By how many ms the wall clock was moved since the last look. */
  moved(): number {
    const before = this.#lead
    this.#lead = this.#now() - performance.now()
    const by = this.#lead - before
    return Math.abs(by) < minClockJumpMs ? 0 : by
  }
}

/** Time that has surely not passed yet: the wall clock counts what the machine slept, the other one cannot be set back. */
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

  /** The most ms that may have passed. */
  get elapsed(): number {
    return Math.max(this.#now() - this.#wall, performance.now() - this.#monotonic)
  }
}
