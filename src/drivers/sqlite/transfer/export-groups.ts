import type { DatabaseSync } from 'node:sqlite'
import type { ConsumerGroup, DeferredRecord, TransferRecord, UnsettledRecord } from '../../../bus/driver.ts'
import { readReason } from '../../../bus/reason.ts'
import { sqlFor } from '../../../bus/sql.ts'
import { compileFilter, type Filter } from '../../../pattern.ts'
import { yieldToEventLoop } from '../reader.ts'
import { isGivenBack } from '../writer/claim-store.ts'
import { entryOfRow, type TransferRow } from './row.ts'

interface GroupRow {
  readonly name: string
  readonly mode: ConsumerGroup['mode']
  readonly filter: string
  readonly next: number
}

interface LeaseRow {
  readonly shard: number
  readonly owner: number | null
  readonly next: number
  readonly suspect: number
}

interface HeldRow extends TransferRow {
  readonly attempts: number
  readonly memo: string | null
}

interface DeferredRow extends HeldRow {
  readonly state: DeferredRecord['state']
  readonly due: number | null
  readonly reason: string
  readonly key: string | null
}

const pageSize = 1_000
const columns = 'l.pos, l.id, l.type, l.target, l.correlation, l.event'

/** The groups, each with what it has not settled. */
export async function* exportSqliteGroups(db: DatabaseSync): AsyncGenerator<TransferRecord> {
  const groups = sqlFor(db)<GroupRow>('SELECT name, mode, filter, next FROM groups ORDER BY name').all()
  for (const { name: group, mode, filter, next } of groups) {
    yield { kind: 'group', group, mode, filter: JSON.parse(filter) as Filter }
    yield* held(db, group)
    yield* unread(db, { group, mode, filter: JSON.parse(filter) as Filter, next })
    yield* deferred(db, group)
  }
}

/** In the hands of members that died, or given back by them. */
function* held(db: DatabaseSync, group: string): Generator<UnsettledRecord> {
  const sql = sqlFor(db)
  const claims = sql<HeldRow>(`SELECT ${columns}, c.attempts, c.memo FROM claims c JOIN log l ON l.pos = c.pos
    WHERE c.grp = ?`)
  const givenBack = sql<DeferredRow>(`SELECT ${columns}, a.attempts, a.memo, a.reason FROM aside a
    JOIN log l ON l.pos = a.pos WHERE a.grp = ? AND a.state = 'delayed'`)
  const rows = [...claims.all(group), ...givenBack.all(group).filter(row => isGivenBack(row.reason))]
  for (const row of rows.toSorted((a, b) => a.pos - b.pos)) yield unsettled(group, row, row.attempts, row.memo)
}

/** What the group has not looked at. */
async function* unread(
  db: DatabaseSync,
  { group, mode, filter, next }: { group: string; mode: ConsumerGroup['mode']; filter: Filter; next: number },
): AsyncGenerator<UnsettledRecord> {
  const sql = sqlFor(db)
  const page = sql<TransferRow & { readonly shard: number }>(`SELECT ${columns}, l.shard FROM log l WHERE l.pos >= ?
    AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.pos = l.pos AND c.grp = ?2)
    AND NOT EXISTS (SELECT 1 FROM aside a WHERE a.pos = l.pos AND a.grp = ?2) ORDER BY l.pos LIMIT ${pageSize}`)
  const leases = sql<LeaseRow>('SELECT shard, owner, next, suspect FROM leases WHERE grp = ?').all(group)
  const byShard = new Map(leases.map(lease => [lease.shard, lease]))
  const startOf = (shard: number) => byShard.get(shard)?.next ?? next
  const matches = compileFilter(filter)
  let from = mode === 'shared' ? next : Math.min(...(leases.length > 0 ? leases.map(lease => lease.next) : [next]))
  for (;;) {
    const rows = page.all(from, group)
    for (const row of rows) {
      if (!matches(row) || (mode === 'sharded' && row.pos < startOf(row.shard))) continue
      yield unsettled(group, row, mode === 'sharded' ? attemptsBefore(byShard.get(row.shard), row.pos) : 0)
    }
    if (rows.length < pageSize) return
    from = rows.at(-1)!.pos + 1
    await yieldToEventLoop()
  }
}

/** An owner that died may have handed out anything. */
const attemptsBefore = (lease: LeaseRow | undefined, pos: number) =>
  lease && (lease.owner !== null || pos <= lease.suspect) ? 1 : 0

function* deferred(db: DatabaseSync, group: string): Generator<DeferredRecord> {
  const rows = sqlFor(db)<DeferredRow>(`SELECT ${columns}, a.attempts, a.memo, a.state, a.due, a.reason, a.key
    FROM aside a JOIN log l ON l.pos = a.pos WHERE a.grp = ? ORDER BY a.id`)
  for (const row of rows.all(group)) {
    const { state, attempts, due, key, memo, reason } = row
    if (state === 'delayed' && isGivenBack(reason)) continue
    yield {
      kind: 'deferred',
      group,
      state,
      attempts,
      reason: readReason(reason),
      entry: entryOfRow(row),
      ...(due !== null && { due }),
      ...(key !== null && { key }),
      ...(memo !== null && { memo }),
    }
  }
}

function unsettled(group: string, row: TransferRow, attempts: number, memo: string | null = null): UnsettledRecord {
  return { kind: 'unsettled', group, entry: entryOfRow(row), attempts, ...(memo !== null && { memo }) }
}
