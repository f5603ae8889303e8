import type { Position } from './driver.ts'

/**
 * A binary search for the first position whose event is not older than `cutoff` (ms since the epoch). Times follow positions closely
 * enough. The caller looks up the first event at `probe` or after it, in its own way, and answers until `probe` is undefined:
 *
 *     const search = new TimeSearch({ first: 1, head, cutoff })
 *     for (let probe; (probe = search.probe) !== undefined; ) search.answer(await firstEventFrom(probe))
 *     return search.position
 */
export class TimeSearch {
  readonly #cutoff: number
  #low: Position
  #high: Position

  constructor({ first, head, cutoff }: { readonly first: Position; readonly head: Position; readonly cutoff: number }) {
    this.#cutoff = cutoff
    this.#low = first
    this.#high = head + 1
  }

  /** The position to look at next. Events at `below` or after it need not be looked at. */
  get probe(): Position | undefined {
    return this.#low < this.#high ? Math.floor((this.#low + this.#high) / 2) : undefined
  }

  get below(): Position {
    return this.#high
  }

  /** `found`: the first event at the probe or after it. */
  answer(found: { readonly position: Position; readonly time: number } | undefined): void {
    const probe = this.probe!
    if (found && found.time < this.#cutoff) this.#low = found.position + 1
    else this.#high = probe
  }

  /** The result, when there is nothing left to probe: `head + 1` if every event is older. */
  get position(): Position {
    return this.#low
  }
}
