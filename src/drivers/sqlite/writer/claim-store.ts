import type { DatabaseSync } from 'node:sqlite'
import type { DeliveryOutcome } from '../../../bus/driver.ts'
import { reason } from '../../../bus/reason.ts'
import { deferralOf } from '../../shared/deferral.ts'
import { sqlFor } from '../../../bus/sql.ts'

/** A delayed delivery that can be dispatched. */
export interface DueDelivery {
  id: number
  pos: number
  shard: number
  attempts: number
  due: number
  memo: string | null
  eventId: string
  event: string
}

interface Claim {
  shard: number
  attempts: number
  memo: string | null
}

interface Claimed extends Omit<Claim, 'memo'> {
  pos: number
}

const dueIn = `SELECT a.id, a.pos, a.shard, a.attempts, a.due, a.memo, l.id AS eventId, l.event
  FROM aside a JOIN log l ON l.pos = a.pos WHERE a.grp = ? AND a.state = 'delayed' AND a.due <= ?`
const nextDueIn = `SELECT min(due) AS due FROM aside WHERE grp = ? AND state = 'delayed'`
const defer = `INSERT INTO aside(pos, grp, shard, state, attempts, due, reason, key, memo)`
const replaceOnConflict = `ON CONFLICT(pos, grp) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
  due = excluded.due, reason = excluded.reason, key = excluded.key, memo = excluded.memo`
const makeDue = `UPDATE aside SET state = 'delayed', attempts = 0, due = ?, memo = NULL`

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    claim: sql('INSERT INTO claims(pos, grp, shard, owner, attempts, memo) VALUES (?, ?, ?, ?, ?, ?)'),
    unclaim: sql<Claim>(`DELETE FROM claims WHERE pos = ? AND grp = ? AND owner = ? RETURNING shard, attempts, memo`),
    defer: sql(`${defer} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ${replaceOnConflict}`),
    delete: sql('DELETE FROM aside WHERE id = ?'),
    due: sql<DueDelivery>(`${dueIn} ORDER BY a.due LIMIT ?`),
    dueInShards: sql<DueDelivery>(`${dueIn} AND a.shard IN (SELECT value FROM json_each(?)) ORDER BY a.due LIMIT ?`),
    nextDue: sql<{ due: number | null }>(nextDueIn),
    nextDueInShards: sql<{ due: number | null }>(`${nextDueIn} AND shard IN (SELECT value FROM json_each(?))`),
    has: sql(`SELECT 1 FROM claims WHERE pos = ?1 AND grp = ?2
      UNION ALL SELECT 1 FROM aside WHERE pos = ?1 AND grp = ?2`),
    countByOwner: sql<{ owner: number; n: number }>(
      'SELECT owner, count(*) AS n FROM claims WHERE grp = ? GROUP BY owner',
    ),
    deferOwned: sql(`${defer} SELECT pos, grp, shard, 'delayed', attempts, ?, ?, NULL, memo FROM claims
      WHERE owner = ? ${replaceOnConflict}`),
    deleteOwned: sql('DELETE FROM claims WHERE owner = ?'),
    makeDue: sql<{ grp: string }>(`${makeDue} WHERE id = ? RETURNING grp`),
    makeParkedDue: sql<{ grp: string }>(`${makeDue} WHERE key = ? AND state = 'parked' RETURNING grp`),
    advanceDue: sql(`UPDATE aside SET due = max(?1, due - ?2) WHERE state = 'delayed' AND due > ?1`),
  }
}

/**
 * Deliveries that have a row: claimed by a consumer, or deferred (delayed, dead or parked). The claim of an `atMostOnce` call is
 * something else: `TaskStore.claim`.
 */
export class ClaimStore {
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(db: DatabaseSync) {
    this.#sql = statementsFor(db)
  }

  /** Claims an event that has no row yet. */
  claim(pos: number, group: string, shard: number, owner: number, attempt = 1): void {
    this.#sql.claim.run(pos, group, shard, owner, attempt, null)
  }

  /** Undefined if the owner does not hold it any more. */
  unclaim(pos: number, group: string, owner: number): Claim | undefined {
    return this.#sql.unclaim.get(pos, group, owner)
  }

  /** Stores a delivery that did not end in `done`. Returns when it is due. */
  defer(
    group: string,
    { pos, shard, attempts }: Claimed,
    outcome: Exclude<DeliveryOutcome, { kind: 'done' }>,
    now: number,
  ) {
    const { state, reason, delayMs, key = null, memo = null } = deferralOf(outcome)
    const due = delayMs === undefined ? null : now + delayMs
    this.#sql.defer.run(pos, group, shard, state, attempts, due, JSON.stringify(reason), key, memo)
    return due ?? Infinity
  }

  /** Stores a delivery that its consumer did not handle, to be dispatched at once. Returns when it is due. */
  giveBack(group: string, claimed: Claimed, memo: string | null, now: number): number {
    const outcome = { kind: 'retry', after: 0, reason: givenBack, ...(memo !== null && { memo }) } as const
    return this.defer(group, claimed, outcome, now)
  }

  /** Everything that a consumer claimed is dispatched to others. */
  giveBackAll(owner: number, now: number): void {
    if (this.#sql.deferOwned.run(now, givenBackReason, owner).changes) this.#sql.deleteOwned.run(owner)
  }

  /** Turns a delayed delivery that is due into a claim. */
  redeliver({ id, pos, shard, attempts, memo }: DueDelivery, group: string, owner: number): void {
    this.#sql.delete.run(id)
    this.#sql.claim.run(pos, group, shard, owner, attempts + 1, memo)
  }

  due(group: string, now: number, limit: number): DueDelivery[] {
    return this.#sql.due.all(group, now, limit)
  }

  dueInShards(group: string, shards: Iterable<number>, now: number, limit: number): DueDelivery[] {
    return this.#sql.dueInShards.all(group, now, JSON.stringify([...shards]), limit)
  }

  nextDue(group: string): number {
    return this.#sql.nextDue.get(group)!.due ?? Infinity
  }

  nextDueInShards(group: string, shards: Iterable<number>): number {
    return this.#sql.nextDueInShards.get(group, JSON.stringify([...shards]))!.due ?? Infinity
  }

  has(pos: number, group: string): boolean {
    return this.#sql.has.get(pos, group) !== undefined
  }

  countByOwner(group: string): { owner: number; n: number }[] {
    return this.#sql.countByOwner.all(group)
  }

  /** Makes a deferred delivery due. Returns its group, if it exists. */
  makeDue(id: number, now: number): string[] {
    return this.#sql.makeDue.all(now, id).map(({ grp }) => grp)
  }

  /** Makes all deliveries due that are parked under a key. Returns the group of each. */
  makeParkedDue(key: string, now: number): string[] {
    return this.#sql.makeParkedDue.all(now, key).map(({ grp }) => grp)
  }

  /**
   * Call when the clock was set back by `byMs`, so that a delay of seconds does not last until the clock has caught up. Each process
   * that notices does this: delays may become shorter, never longer.
   */
  advanceDue(now: number, byMs: number): void {
    this.#sql.advanceDue.run(now, byMs)
  }

  discard(id: number): boolean {
    return this.#sql.delete.run(id).changes !== 0
  }
}

const givenBack = reason('E_WORKER_STOPPED', 'the consumer ended before it handled the delivery')
export const givenBackReason = JSON.stringify(givenBack)

/** Whether a delayed delivery only waits for a consumer. */
export const isGivenBack = (storedReason: string) => storedReason === givenBackReason
