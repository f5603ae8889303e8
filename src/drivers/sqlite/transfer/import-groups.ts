import type { ConsumerGroup, DeferredRecord, TransferRecord, UnsettledRecord } from '../../../bus/driver.ts'
import { sqlFor } from '../../../bus/sql.ts'
import { compileFilter } from '../../../pattern.ts'
import { givenBackReason } from '../writer/claim-store.ts'
import type { LogStore } from '../writer/log-store.ts'

const pageSize = 1_000

function statementsFor({ db }: LogStore) {
  const sql = sqlFor(db)
  return {
    clear: ['claims', 'aside', 'leases', 'groups'].map(table => sql(`DELETE FROM ${table}`)),
    addGroup: sql('INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?)'),
    addLease: sql('INSERT OR REPLACE INTO leases VALUES (?, ?, NULL, ?, 0)'),
    defer: sql(`INSERT OR REPLACE INTO aside(pos, grp, shard, state, attempts, due, reason, key, memo)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    below: sql<{ pos: number; type: string; target: string | null; shard: number }>(
      `SELECT pos, type, target, shard FROM log WHERE pos < ? AND pos >= ? ORDER BY pos DESC LIMIT ${pageSize}`,
    ),
  }
}

interface UnreadEvent {
  readonly pos: number
  readonly shard: number
  readonly attempts: number
  readonly memo: string | undefined
}

/**
 * Groups and their deliveries. What a group has not settled at the end of the log is simply not read yet; what is unsettled before that,
 * or was handed out before, is stored as a delivery that waits for a consumer.
 */
export class GroupImport {
  readonly #store: LogStore
  readonly #sql: ReturnType<typeof statementsFor>
  #group: Pick<ConsumerGroup, 'group' | 'mode' | 'filter'> | undefined
  #unsettled: UnreadEvent[] = []

  constructor(store: LogStore) {
    this.#store = store
    this.#sql = statementsFor(store)
  }

  /** Removes what an earlier import left. */
  clear(): void {
    for (const statement of this.#sql.clear) statement.run()
  }

  add(record: TransferRecord): void {
    if (record.kind === 'group') {
      this.finish()
      this.#group = record
    } else if (record.kind === 'unsettled') this.#addUnsettled(record)
    else if (record.kind === 'deferred') this.#addDeferred(record)
  }

  #addUnsettled({ entry, attempts, memo }: UnsettledRecord): void {
    const pos = this.#store.positionOf(entry.event.id)
    if (pos > 0) this.#unsettled.push({ pos, shard: this.#shardOf(entry), attempts, memo })
  }

  #addDeferred({ group, entry, state, attempts, due, reason, key, memo }: DeferredRecord): void {
    const pos = this.#store.positionOf(entry.event.id)
    if (pos === 0) return
    const rest = [JSON.stringify(reason), key ?? null, memo ?? null]
    this.#sql.defer.run(pos, group, this.#shardOf(entry), state, attempts, due ?? null, ...rest)
  }

  /** Ends the records of the group at hand. */
  finish(): void {
    if (!this.#group) return
    const { group, mode, filter } = this.#group
    const unsettled = this.#unsettled.toSorted((a, b) => a.pos - b.pos)
    const starts = this.#startsOf(unsettled)
    const head = this.#store.head + 1
    this.#sql.addGroup.run(group, mode, JSON.stringify(filter), mode === 'shared' ? (starts.get(0) ?? head) : head)
    if (mode === 'sharded')
      for (let shard = 0; shard < this.#store.shards; shard++)
        this.#sql.addLease.run(group, shard, starts.get(shard) ?? head)
    const now = Date.now()
    for (const { pos, shard, attempts, memo } of unsettled)
      if (pos < (starts.get(this.#lane(shard)) ?? head))
        this.#sql.defer.run(pos, group, shard, 'delayed', attempts, now, givenBackReason, null, memo ?? null)
    this.#group = undefined
    this.#unsettled = []
  }

  /** For each lane with an unread end of the log: where that begins. Reads the log backwards to the last event that was settled. */
  #startsOf(unsettled: readonly UnreadEvent[]): Map<number, number> {
    const fresh = new Set(unsettled.flatMap(({ pos, attempts }) => (attempts === 0 ? [pos] : [])))
    const starts = new Map<number, number>()
    const oldest = unsettled[0]?.pos
    if (oldest === undefined || fresh.size === 0) return starts
    const matches = compileFilter(this.#group!.filter)
    const closed = new Set<number>()
    let before = this.#store.head + 1
    for (;;) {
      const rows = this.#sql.below.all(before, oldest)
      for (const row of rows) {
        const lane = this.#lane(row.shard)
        if (closed.has(lane) || !matches(row)) continue
        if (fresh.has(row.pos)) starts.set(lane, row.pos)
        else closed.add(lane)
      }
      if (rows.length < pageSize) return starts
      before = rows.at(-1)!.pos
    }
  }

  /** The part of a group that has a start of its own: the whole of a shared one, or a shard. */
  #lane(shard: number): number {
    return this.#group!.mode === 'shared' ? 0 : shard
  }

  #shardOf({ event }: UnsettledRecord['entry']): number {
    return this.#store.shardOf(event.correlationid)
  }
}
