import { randomUUID } from 'node:crypto'
import { addLatency, type LatencyHistogram } from './histogram.ts'
import type { Side } from './bucket.ts'

export const measuredType = 'strangler.measured'

/** What one process served on one side in a period. */
export interface SideMeasurement {
  /** Requests that came. */
  readonly asked: number
  /** Requests that ended, also in an error. */
  readonly finished: number
  readonly failed: number
  readonly latency: LatencyHistogram
}

/** How often a field differed. */
export interface FieldCounts {
  /** The candidate's answer differs from the first one. */
  readonly differed: number
  /** Of triples: the candidate's answer differs and the repeated one does not. */
  readonly onlyCandidate: number
  /** Of triples: the repeated answer differs and the candidate's does not. */
  readonly onlyRepeat: number
}

/** The data of `strangler.measured`: what one process served in a period of about a second, under one version of the document. */
export interface Measurement {
  readonly strangler: string
  readonly version: number
  /** Random, for the lifetime of the process. */
  readonly process: string
  /** RFC 3339, in UTC. */
  readonly since: string
  readonly until: string
  readonly old: SideMeasurement
  readonly candidate: SideMeasurement
  /** Requests at the candidate at the end of the period, and how many of them have taken longer than the declared p95. */
  readonly open: number
  readonly overdue: number
  /** Requests of the candidate's side that `old` answered, because the log was away. */
  readonly fallbacks: number
  readonly mirrors: MirrorCounts
  /** Comparisons in which both sides answered. */
  readonly pairs: number
  /** Those with a repeated answer. */
  readonly triples: number
  readonly fields: Readonly<Record<string, FieldCounts>>
}

/** What became of requests that were to go to the candidate as well. */
export interface MirrorCounts {
  readonly asked: number
  readonly compared: number
  /** Not mirrored, because too many were in flight. */
  readonly busy: number
  /** Not mirrored, because the log was away or refused the request. */
  readonly away: number
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends object ? Mutable<T[K]> : T[K] }
type Counts = Mutable<Omit<Measurement, 'strangler' | 'version' | 'process' | 'since' | 'until' | 'open' | 'overdue'>>

const emptySide = () => ({ asked: 0, finished: 0, failed: 0, latency: {} })
const emptyCounts = (): Counts => ({
  old: emptySide(),
  candidate: emptySide(),
  fallbacks: 0,
  mirrors: { asked: 0, compared: 0, busy: 0, away: 0 },
  pairs: 0,
  triples: 0,
  fields: {},
})

const maxFields = 100

/** A request that is being answered. */
export interface MeteredRequest {
  end(failed: boolean): void
  forget(): void
}

/** Counts what this process serves, by the version of the document under which a request came. */
export class Meter {
  readonly #strangler: string
  readonly #now: () => number
  readonly #process = randomUUID()
  readonly #counts = new Map<number, Counts>()
  /** When each request began that is at the candidate, by version. */
  readonly #open = new Map<object, { readonly at: number; readonly version: number }>()
  #since: number

  constructor(strangler: string, now: () => number) {
    this.#strangler = strangler
    this.#now = now
    this.#since = now()
  }

  /** Counts a request. Call `end` when it has ended, or `forget` if it was not made. */
  begin(side: Side, version: number): MeteredRequest {
    const began = performance.now()
    const request = {}
    this.#of(version)[side].asked++
    if (side === 'candidate') this.#open.set(request, { at: began, version })
    return {
      end: failed => {
        this.#open.delete(request)
        const measured = this.#of(version)[side]
        measured.finished++
        if (failed) measured.failed++
        addLatency(measured.latency, performance.now() - began)
      },
      forget: () => {
        this.#open.delete(request)
        this.#of(version)[side].asked--
      },
    }
  }

  fallback(version: number): void {
    this.#of(version).fallbacks++
  }

  mirrored(version: number, what: keyof MirrorCounts): void {
    this.#of(version).mirrors[what]++
  }

  /** Counts the fields that differ in the answers to one request. `repeated`: those in which the repeated answer differs. */
  compared(version: number, differed: readonly string[], repeated: readonly string[] | undefined): void {
    const counts = this.#of(version)
    counts.pairs++
    if (repeated) counts.triples++
    for (const path of new Set([...differed, ...(repeated ?? [])])) {
      if (!counts.fields[path] && Object.keys(counts.fields).length >= maxFields) continue
      const field = (counts.fields[path] ??= { differed: 0, onlyCandidate: 0, onlyRepeat: 0 })
      const isCandidate = differed.includes(path)
      if (isCandidate) field.differed++
      if (!repeated || isCandidate === repeated.includes(path)) continue
      if (isCandidate) field.onlyCandidate++
      else field.onlyRepeat++
    }
  }

  /** What was counted since the last call, one entry for each version. Empty if nothing happened and nothing is open. */
  take(p95 = Infinity): Measurement[] {
    const [since, until] = [this.#since, this.#now()]
    this.#since = until
    const clock = performance.now()
    for (const { version } of this.#open.values()) this.#of(version)
    const taken = [...this.#counts].map(([version, counts]) => {
      const open = [...this.#open.values()].filter(each => each.version === version)
      return {
        strangler: this.#strangler,
        version,
        process: this.#process,
        since: new Date(since).toISOString(),
        until: new Date(until).toISOString(),
        ...counts,
        open: open.length,
        overdue: open.filter(({ at }) => clock - at > p95).length,
      }
    })
    this.#counts.clear()
    return taken
  }

  #of(version: number): Counts {
    const known = this.#counts.get(version)
    if (known) return known
    const counts = emptyCounts()
    this.#counts.set(version, counts)
    return counts
  }
}
