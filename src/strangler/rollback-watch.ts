import type { Bus } from '../bus/bus.ts'
import { keepFollowing } from '../bus/keep-following.ts'
import { decide, isCutOver, rolledBack } from './control.ts'
import { violationIn, type RollbackCriteria } from './criteria.ts'
import type { DocumentFollower } from './document-follower.ts'
import { measuredType, type Measurement } from './meter.ts'

interface RollbackWatchOptions {
  readonly bus: Bus
  readonly name: string
  readonly criteria: RollbackCriteria
  readonly follower: DocumentFollower
}

/*
 * Every process of a strangler sees the measurements of all of them, and judges them in the same way. The first one that finds a violation
 * changes the document, by compare-and-set on the version that it judged; the others find it changed:
 *
 *     each process, each second: strangler.measured ─▶ all processes: window of this version ─▶ violation ─▶ document: 0 %
 */
export class RollbackWatch {
  readonly #bus: Bus
  readonly #name: string
  readonly #criteria: RollbackCriteria
  readonly #follower: DocumentFollower
  readonly #closed = new AbortController()
  #window: Measurement[] = []

  constructor({ bus, name, criteria, follower }: RollbackWatchOptions) {
    this.#bus = bus
    this.#name = name
    this.#criteria = criteria
    this.#follower = follower
  }

  /** @throws E_LOG_UNAVAILABLE */
  async start(): Promise<void> {
    let cursor = await this.#bus.head()
    void keepFollowing(this.#bus, {
      cursor: () => cursor,
      filter: [{ types: [measuredType] }],
      signal: this.#closed.signal,
      onEntry: async entry => {
        cursor = entry.cursor
        if (entry.event.subject !== this.#name) return
        this.#window.push((await this.#bus.resolve(entry.event)).data as Measurement)
        await this.judge()
      },
    })
  }

  stop(): void {
    this.#closed.abort()
  }

  /** Rolls back if a criterion is violated. Never rejects: the next measurement is judged again. */
  async judge(): Promise<void> {
    const { version, control } = this.#follower.document
    const from = new Date(this.#bus.now() - this.#criteria.window).toISOString()
    this.#window = this.#window.filter(each => each.until > from && each.version >= version)
    if (!isCutOver(control)) return
    const current = this.#window.filter(each => each.version === version)
    const violation = violationIn(current, this.#criteria, this.#follower.ageMs)
    if (!violation) return
    const by = `process ${process.pid}`
    try {
      await decide(this.#bus, this.#name, rolledBack, { by, violation }, version)
      await this.#follower.read()
    } catch {
      // The log is away, so no process can ask the candidate either.
    }
  }
}
