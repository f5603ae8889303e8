import { correlationOf, mintedAt } from '../../bus/ids.ts'
import type { LogConnection } from './connection.ts'
import type { NatsLog } from './nats-log.ts'

/*
 * Purging a journal removes its fence, so version 0 would be accepted again. So the ids of finished tasks are kept for another
 * retention period, in few documents with many lines. Only a task whose correlation is older than the last purge, or has no time,
 * can be among them, so most new tasks need no lookup.
 */

const maxLinesPerDocument = 8_000
const clockSkewMs = 5 * 60_000
const cacheTtlMs = 60_000

export class TaskTombstones {
  readonly #connection: LogConnection
  readonly #log: NatsLog
  #lastPurge: { at: number; seen: number } | undefined
  #isWatching = false
  /** Something was purged since the last reading began. */
  #isStale = false

  constructor(connection: LogConnection, log: NatsLog) {
    this.#connection = connection
    this.#log = log
  }

  async has(task: string): Promise<boolean> {
    const purgedUntil = await this.#purgedUntil()
    const minted = mintedAt(correlationOf(task)) ?? -Infinity
    if (purgedUntil === -Infinity || minted > purgedUntil + clockSkewMs) return false
    const shard = this.#log.names.shardOf(correlationOf(task))
    for await (const { text } of this.#log.state.scan({ subject: this.#log.names.doc('seal', shard, '>') }))
      if (text().split('\n').includes(task)) return true
    return false
  }

  /** Keeps the ids of finished tasks whose turns are about to be purged; `newest`: when the newest turn was stored. */
  async add(tasks: ReadonlyMap<number, readonly string[]>, newest: number, keepMs: number): Promise<void> {
    const ttl = Math.max(1, Math.ceil(keepMs / 1_000))
    for (const [shard, names] of tasks)
      for (let i = 0; i < names.length; i += maxLinesPerDocument) {
        const subject = this.#log.names.doc('seal', shard, Date.now(), i)
        await this.#log.state.append(subject, names.slice(i, i + maxLinesPerDocument).join('\n'), {
          'Nats-TTL': `${ttl}s`,
        })
      }
    await this.#log.state.append(this.#log.names.doc('purged'), String(newest))
    this.#lastPurge = { at: Math.max(newest, this.#lastPurge?.at ?? 0), seen: performance.now() }
  }

  async #purgedUntil(): Promise<number> {
    if (!this.#isWatching) this.#connection.subscribe(this.#log.names.doc('purged'), () => (this.#isStale = true))
    this.#isWatching = true
    if (!this.#lastPurge || this.#isStale || performance.now() - this.#lastPurge.seen > cacheTtlMs) {
      this.#isStale = false
      const stored = await this.#log.state.last(this.#log.names.doc('purged'))
      this.#lastPurge = { at: stored ? Number(stored.text()) : -Infinity, seen: performance.now() }
    }
    return this.#lastPurge.at
  }
}
