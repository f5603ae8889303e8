/**
 * Fault injection for tests: switches off one guarantee, or makes commits fail. A test that still passes with the
 * fence or the transaction dropped proves nothing, so the switches exist; nobody else may set them.
 */
export interface Faults {
  /** Turns are accepted whatever version they expect and whoever owns the shard; the last of a version stands. */
  readonly dropFence?: boolean
  /** A commit stores its settlement, its turn and its events in transactions of their own, in that order. */
  readonly dropTransaction?: boolean
  /** Makes COMMITs fail as a broken disk would. */
  readonly commits?: FailingCommits
}

export class FailingCommits {
  /** How many are to fail, and how many are to succeed before. */
  readonly cells: Int32Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.cells = new Int32Array(buffer)
  }

  /** After `spared` more transactions that write something, the next `count` of them fail at their COMMIT. */
  fail(count: number, spared = 0): void {
    Atomics.store(this.cells, 1, spared)
    Atomics.store(this.cells, 0, count)
  }

  /** Called before each COMMIT; throws when it is to fail. */
  strike(): void {
    if (Atomics.load(this.cells, 0) <= 0) return
    if (Atomics.sub(this.cells, 1, 1) > 0) return
    Atomics.sub(this.cells, 0, 1)
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
    commits: (faults.commits?.cells.buffer as SharedArrayBuffer | undefined) ?? null,
  }
}
