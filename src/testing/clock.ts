import { movedClock } from '../bus/clock.ts'

/** A wall clock that a test can set; it runs on from there. */
export class TestClock {
  /** Difference to the clock of the machine, in shared memory for the threads of a driver. */
  readonly offset = new SharedArrayBuffer(8)
  readonly #cell = new BigInt64Array(this.offset)
  /** Ms since the epoch. */
  readonly now: () => number = movedClock(this.offset)

  set(ms: number): void {
    this.advance(ms - this.now())
  }

  /** A negative value sets it back. */
  advance(ms: number): void {
    Atomics.add(this.#cell, 0, BigInt(Math.round(ms)))
  }
}
