import { correlationOf, mintedAt } from '../../bus/ids.ts'
import type { NatsLog } from './nats-log.ts'

/*
 * Purging a journal removes its fence, so version 0 would be accepted again. So the ids of finished tasks are kept for another
 * retention period, in few documents with many lines. Only a task whose correlation is older than the last purge can be among
 * them, so a new task needs no lookup.
 */

const maxLinesPerDocument = 8_000
const clockSkewMs = 5 * 60_000
const cacheTtlMs = 60_000

export class TaskTombstones {
  readonly #log: NatsLog
  #lastPurge: { at: number; seen: number } | undefined

  constructor(log: NatsLog) {
    this.#log = log
  }

  async has(task: string): Promise<boolean> {
    const minted = mintedAt(correlationOf(task))
    if (minted !== undefined && minted > (await this.#purgedUntil()) + clockSkewMs) return false
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
    if (!this.#lastPurge || performance.now() - this.#lastPurge.seen > cacheTtlMs) {
      const stored = await this.#log.state.last(this.#log.names.doc('purged'))
      this.#lastPurge = { at: stored ? Number(stored.text()) : -Infinity, seen: performance.now() }
    }
    return this.#lastPurge.at
  }
}
