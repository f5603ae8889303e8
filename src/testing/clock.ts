import { movedClock } from '../bus/clock.ts'

/** A wall clock that a test sets, as somebody sets that of a machine: it goes on from there. */
export class TestClock {
  /** What it is ahead of the clock of the machine: shared memory, which the threads of a driver see, too. */
  readonly offset = new SharedArrayBuffer(8)
  readonly #cell = new BigInt64Array(this.offset)
  /** Ms since the epoch. */
  readonly now: () => number = movedClock(this.offset)

  set(ms: number): void {
    this.advance(ms - this.now())
  }

  /** Backwards where it is negative. */
  advance(ms: number): void {
    Atomics.add(this.#cell, 0, BigInt(Math.round(ms)))
  }
}
