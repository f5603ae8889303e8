import { compileFilter, type Filter } from '../../pattern.ts'
import type { LocalIndex } from './local-index.ts'

const pageSize = 1_000

/**
 * Counts the events of a partition that match a filter between two offsets which only grow, so that each event is looked at twice at
 * most, however often it is asked.
 */
export class MatchCounter {
  readonly filter: Filter
  readonly #index: LocalIndex
  readonly #partition: number
  readonly #matches: ReturnType<typeof compileFilter>
  #after = 0
  #until = 0
  #count = 0

  constructor(index: LocalIndex, partition: number, filter: Filter) {
    this.#index = index
    this.#partition = partition
    this.filter = filter
    this.#matches = compileFilter(filter)
  }

  count(after: number, until: number): number {
    if (until <= after) return 0
    if (after < this.#after || after >= this.#until || until < this.#until) {
      this.#count = this.#scan(after, until)
    } else {
      this.#count += this.#scan(this.#until, until) - this.#scan(this.#after, after)
    }
    this.#after = after
    this.#until = until
    return this.#count
  }

  /** The first match after an offset; Infinity for none. */
  firstAfter(offset: number): number {
    for (let after = offset; ; ) {
      const rows = this.#index.range(this.#partition, after, Infinity, pageSize)
      const found = rows.find(row => this.#matches(row))
      if (found) return found.offset
      if (rows.length < pageSize) return Infinity
      after = rows.at(-1)!.offset
    }
  }

  #scan(from: number, until: number): number {
    let count = 0
    for (let after = from; after < until; ) {
      const rows = this.#index.range(this.#partition, after, until, pageSize)
      for (const row of rows) if (this.#matches(row)) count++
      if (rows.length < pageSize) break
      after = rows.at(-1)!.offset
    }
    return count
  }
}
