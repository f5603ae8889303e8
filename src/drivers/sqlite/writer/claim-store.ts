import type { DatabaseSync } from 'node:sqlite'
import type { DeliveryOutcome } from '../../../bus/driver.ts'
import { reason } from '../../../bus/reason.ts'
import { deferralOf } from '../../shared/deferral.ts'
import { prepareSql } from '../schema.ts'

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

const dueColumns = 'a.id, a.pos, a.shard, a.attempts, a.due, a.memo, l.id AS eventId, l.event'
const insertDeferred = `INSERT INTO aside(pos, grp, shard, state, attempts, due, reason, key, memo)`
const replaceOnConflict = `ON CONFLICT(pos, grp) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
  due = excluded.due, reason = excluded.reason, key = excluded.key, memo = excluded.memo`

/** Deliveries that have a row: claimed by a consumer, or deferred (delayed, dead or parked). */
export class ClaimStore {
  readonly #claim
  readonly #unclaim
  readonly #defer
  readonly #delete
  readonly #due
  readonly #dueInShards
  readonly #nextDue
  readonly #nextDueInShards
  readonly #has
  readonly #countByOwner
  readonly #deferOwned
  readonly #deleteOwned
  readonly #release
  readonly #releaseParked
  readonly #advanceDue

  constructor(db: DatabaseSync) {
    this.#claim = prepareSql(db, 'INSERT INTO claims(pos, grp, shard, owner, attempts, memo) VALUES (?, ?, ?, ?, ?, ?)')
    this.#unclaim = prepareSql<Claim>(
      db,
      'DELETE FROM claims WHERE pos = ? AND grp = ? AND owner = ? RETURNING shard, attempts, memo',
    )
    this.#defer = prepareSql(db, `${insertDeferred} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ${replaceOnConflict}`)
    this.#delete = prepareSql(db, 'DELETE FROM aside WHERE id = ?')
    this.#due = prepareSql<DueDelivery>(
      db,
      `SELECT ${dueColumns} FROM aside a JOIN log l ON l.pos = a.pos
      WHERE a.grp = ? AND a.state = 'delayed' AND a.due <= ? ORDER BY a.due LIMIT ?`,
    )
    this.#dueInShards = prepareSql<DueDelivery>(
      db,
      `SELECT ${dueColumns} FROM aside a JOIN log l ON l.pos = a.pos
      WHERE a.grp = ? AND a.state = 'delayed' AND a.due <= ? AND a.shard IN (SELECT value FROM json_each(?))
      ORDER BY a.due LIMIT ?`,
    )
    this.#nextDueInShards = prepareSql<{ due: number | null }>(
      db,
      `SELECT min(due) AS due FROM aside
      WHERE grp = ? AND state = 'delayed' AND shard IN (SELECT value FROM json_each(?))`,
    )
    this.#nextDue = prepareSql<{ due: number | null }>(
      db,
      `SELECT min(due) AS due FROM aside WHERE grp = ? AND state = 'delayed'`,
    )
    this.#has = prepareSql(
      db,
      `SELECT 1 FROM claims WHERE pos = ?1 AND grp = ?2
      UNION ALL SELECT 1 FROM aside WHERE pos = ?1 AND grp = ?2`,
    )
    this.#countByOwner = prepareSql<{ owner: number; n: number }>(
      db,
      'SELECT owner, count(*) AS n FROM claims WHERE grp = ? GROUP BY owner',
    )
    const owned = `'delayed', attempts, ?, ?, NULL, memo FROM claims`
    this.#deferOwned = prepareSql(
      db,
      `${insertDeferred} SELECT pos, grp, shard, ${owned} WHERE owner = ? ${replaceOnConflict}`,
    )
    this.#deleteOwned = prepareSql(db, 'DELETE FROM claims WHERE owner = ?')
    this.#release = prepareSql<{ grp: string }>(
      db,
      `UPDATE aside SET state = 'delayed', attempts = 0, due = ?, memo = NULL
      WHERE id = ? RETURNING grp`,
    )
    this.#releaseParked = prepareSql<{ grp: string }>(
      db,
      `UPDATE aside SET state = 'delayed', attempts = 0, due = ?, memo = NULL
      WHERE key = ? AND state = 'parked' RETURNING grp`,
    )
    this.#advanceDue = prepareSql(db, `UPDATE aside SET due = max(?1, due - ?2) WHERE state = 'delayed' AND due > ?1`)
  }

  /** Claims an event on its first attempt. */
  claim(pos: number, group: string, shard: number, owner: number): void {
    this.#claim.run(pos, group, shard, owner, 1, null)
  }

  /** Undefined if the owner does not hold it any more. */
  unclaim(pos: number, group: string, owner: number): Claim | undefined {
    return this.#unclaim.get(pos, group, owner)
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
    this.#defer.run(pos, group, shard, state, attempts, due, JSON.stringify(reason), key, memo)
    return due ?? Infinity
  }

  /** Stores a delivery that its consumer did not handle, to be dispatched at once. Returns when it is due. */
  giveBack(group: string, claimed: Claimed, memo: string | null, now: number): number {
    const outcome = { kind: 'retry', after: 0, reason: givenBack, ...(memo !== null && { memo }) } as const
    return this.defer(group, claimed, outcome, now)
  }

  /** Everything that a consumer claimed is dispatched to others. */
  giveBackAll(owner: number, now: number): void {
    if (this.#deferOwned.run(now, JSON.stringify(givenBack), owner).changes) this.#deleteOwned.run(owner)
  }

  /** Turns a delayed delivery that is due into a claim. */
  redeliver({ id, pos, shard, attempts, memo }: DueDelivery, group: string, owner: number): void {
    this.#delete.run(id)
    this.#claim.run(pos, group, shard, owner, attempts + 1, memo)
  }

  due(group: string, now: number, limit: number): DueDelivery[] {
    return this.#due.all(group, now, limit)
  }

  dueInShards(group: string, shards: Iterable<number>, now: number, limit: number): DueDelivery[] {
    return this.#dueInShards.all(group, now, JSON.stringify([...shards]), limit)
  }

  nextDue(group: string): number {
    return this.#nextDue.get(group)!.due ?? Infinity
  }

  nextDueInShards(group: string, shards: Iterable<number>): number {
    return this.#nextDueInShards.get(group, JSON.stringify([...shards]))!.due ?? Infinity
  }

  has(pos: number, group: string): boolean {
    return this.#has.get(pos, group) !== undefined
  }

  countByOwner(group: string): { owner: number; n: number }[] {
    return this.#countByOwner.all(group)
  }

  /** Makes a deferred delivery due. Returns its group, if it exists. */
  release(id: number, now: number): string[] {
    return this.#release.all(now, id).map(({ grp }) => grp)
  }

  /** Makes all deliveries due that are parked under a key. Returns the group of each. */
  releaseParked(key: string, now: number): string[] {
    return this.#releaseParked.all(now, key).map(({ grp }) => grp)
  }

  /**
   * Call when the clock was set back by `byMs`, so that a delay of seconds does not last until the clock has caught up. Each process
   * that notices does this: delays may become shorter, never longer.
   */
  advanceDue(now: number, byMs: number): void {
    this.#advanceDue.run(now, byMs)
  }

  drop(id: number): boolean {
    return this.#delete.run(id).changes !== 0
  }
}

const givenBack = reason('E_WORKER_STOPPED', 'the consumer ended before it handled the delivery')
