/** By then, a process that lives has renewed its lease, if the log can be written. */
const graceMs = 10_000

/**
 * The leases that this process saw expired. After an outage of the log all of them are, and the processes live: a lease that nobody renews
 * while this process watches has no owner.
 */
export class ExpiredLeases {
  readonly #seen = new Map<string, { readonly until: number; readonly at: number }>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Whether the lease of a process, which ended at `until`, has been expired for long enough. */
  hasNoOwner(id: string, until: number): boolean {
    const seen = this.#seen.get(id)
    if (seen?.until === until) return this.#now() - seen.at >= graceMs
    this.#seen.set(id, { until, at: this.#now() })
    return false
  }

  /** The log was away: what was seen before says nothing. */
  forget(): void {
    this.#seen.clear()
  }
}
