/**
 * Fault injection for tests: switches off one guarantee, or makes commits fail. A test that still passes with the
 * fence or the transaction dropped proves nothing, so the switches exist; nobody else may set them.
 */
export interface Faults {
  /** Turns are accepted whatever version they expect and whoever owns the shard. */
  readonly dropFence?: boolean
  /** A commit stores its settlement, its turn and its events in transactions of their own, in that order. */
  readonly dropTransaction?: boolean
  /** How many of the next COMMITs fail as a disk would; made by `failingCommits()`, set with `.fail(n)`. */
  readonly commits?: FailingCommits
}

export class FailingCommits {
  readonly cell: Int32Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.cell = new Int32Array(buffer)
  }

  /** The next `count` transactions that wrote something fail at their COMMIT. */
  fail(count: number): void {
    Atomics.store(this.cell, 0, count)
  }

  /** Throws while failures are left. */
  strike(): void {
    if (Atomics.load(this.cell, 0) <= 0) return
    Atomics.sub(this.cell, 0, 1)
    throw new Error('disk I/O error (injected)')
  }
}

/** Faults as they cross into the worker thread. */
export interface WireFaults {
  readonly dropFence: boolean
  readonly dropTransaction: boolean
  readonly commits: SharedArrayBuffer | null
}

export function toWire(faults: Faults = {}): WireFaults {
  return {
    dropFence: faults.dropFence ?? false,
    dropTransaction: faults.dropTransaction ?? false,
    commits: (faults.commits?.cell.buffer as SharedArrayBuffer | undefined) ?? null,
  }
}
