import type { IndexedEvent } from './local-index.ts'

/** An event with its text. */
export interface RecentRow extends IndexedEvent {
  readonly text: string
}

/** The newest events of one partition, in memory: what is read most is what was stored just now. */
export class RecentRows {
  readonly #maxChars: number
  #rows: RecentRow[] = []
  #first = 0
  #chars = 0
  /** Every event after this offset is here. */
  #after: number

  constructor(after: number, maxChars: number) {
    this.#after = after
    this.#maxChars = maxChars
  }

  /** In the order of the offsets. */
  add(row: RecentRow): void {
    this.#rows.push(row)
    this.#chars += row.text.length
    while (this.#chars > this.#maxChars && this.#first < this.#rows.length) {
      const oldest = this.#rows[this.#first++]!
      this.#chars -= oldest.text.length
      this.#after = oldest.offset
    }
    if (this.#first > 1_024 && this.#first * 2 > this.#rows.length) {
      this.#rows = this.#rows.slice(this.#first)
      this.#first = 0
    }
  }

  /** Events after one offset and up to another; undefined if some of them are not here any more. */
  range(after: number, until: number, limit: number): RecentRow[] | undefined {
    if (after < this.#after) return undefined
    const found: RecentRow[] = []
    for (let n = this.#indexAfter(after); n < this.#rows.length && found.length < limit; n++) {
      const row = this.#rows[n]!
      if (row.offset > until) break
      found.push(row)
    }
    return found
  }

  /** Undefined if there is none here. */
  at(offset: number): RecentRow | undefined {
    const row = this.#rows[this.#indexAfter(offset - 1)]
    return row?.offset === offset ? row : undefined
  }

  #indexAfter(offset: number): number {
    let [low, high] = [this.#first, this.#rows.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#rows[middle]!.offset <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
