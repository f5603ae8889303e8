/**
 * A binary search in one partition for the first offset whose event is not older than `cutoff` (ms since the epoch). Times follow offsets closely
 * enough. The caller looks up the first event at `probe` or after it, in its own way, and answers until `probe` is undefined:
 *
 *     const search = new TimeSearch({ first: 1, head, cutoff })
 *     for (let probe; (probe = search.probe) !== undefined; ) search.answer(await firstEventFrom(probe))
 *     return search.offset
 */
export class TimeSearch {
  readonly #cutoff: number
  #low: number
  #high: number

  constructor({ first, head, cutoff }: { readonly first: number; readonly head: number; readonly cutoff: number }) {
    this.#cutoff = cutoff
    this.#low = first
    this.#high = head + 1
  }

  /** The offset to look at next. Events at `below` or after it need not be looked at. */
  get probe(): number | undefined {
    return this.#low < this.#high ? Math.floor((this.#low + this.#high) / 2) : undefined
  }

  get below(): number {
    return this.#high
  }

  /** `found`: the first event at the probe or after it. */
  answer(found: { readonly offset: number; readonly time: number } | undefined): void {
    const probe = this.probe!
    if (found && found.time < this.#cutoff) this.#low = found.offset + 1
    else this.#high = probe
  }

  /** The result, when there is nothing left to probe: `head + 1` if every event is older. */
  get offset(): number {
    return this.#low
  }
}
