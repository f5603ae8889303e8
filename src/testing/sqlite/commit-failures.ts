/** Makes transactions of the embedded log fail at COMMIT, like a broken disk. Works across threads. */
export class CommitFailures {
  /** The number of commits that fail, and the number that succeed before. */
  readonly cells: SharedArrayBuffer
  readonly #counts: Int32Array

  constructor(cells = new SharedArrayBuffer(8)) {
    this.cells = cells
    this.#counts = new Int32Array(cells)
  }

  /** After `spared` more transactions that write something, the next `count` of them fail. */
  fail(count: number, spared = 0): void {
    Atomics.store(this.#counts, 1, spared)
    Atomics.store(this.#counts, 0, count)
  }

  /** The store calls this before each COMMIT of a transaction that wrote something. */
  throwIfDue(): void {
    if (Atomics.load(this.#counts, 0) <= 0) return
    if (Atomics.sub(this.#counts, 1, 1) > 0) return
    Atomics.sub(this.#counts, 0, 1)
    throw new Error('disk I/O error (injected)')
  }
}
