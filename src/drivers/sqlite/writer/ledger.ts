import { prepare } from '../schema.ts'
import type { Settlement } from '../protocol.ts'
import type { DatabaseSync } from 'node:sqlite'

export interface Due {
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

const dueColumns = 'a.id, a.pos, a.shard, a.attempts, a.due, a.memo, l.id AS eventId, l.event'
const setAside = `INSERT INTO aside(pos, grp, shard, state, attempts, due, reason, key, memo)`
const replace = `ON CONFLICT(pos, grp) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
  due = excluded.due, reason = excluded.reason, key = excluded.key, memo = excluded.memo`

/** Deliveries that have a row: claimed by a consumer, or set aside as delayed, dead or parked. */
export class Ledger {
  constructor(db: DatabaseSync) {
    this.#claim = prepare(db, 'INSERT INTO claims(pos, grp, shard, owner, attempts, memo) VALUES (?, ?, ?, ?, ?, ?)')
    this.#unclaim = prepare<Claim>(
      db,
      'DELETE FROM claims WHERE pos = ? AND grp = ? AND owner = ? RETURNING shard, attempts, memo',
    )
    this.#put = prepare(db, `${setAside} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ${replace}`)
    this.#take = prepare(db, 'DELETE FROM aside WHERE id = ?')
    this.#due = prepare<Due>(
      db,
      `SELECT ${dueColumns} FROM aside a JOIN log l ON l.pos = a.pos
      WHERE a.grp = ? AND a.state = 'delayed' AND a.due <= ? ORDER BY a.due LIMIT ?`,
    )
    this.#dueIn = prepare<Due>(
      db,
      `SELECT ${dueColumns} FROM aside a JOIN log l ON l.pos = a.pos
      WHERE a.grp = ? AND a.state = 'delayed' AND a.due <= ? AND a.shard IN (SELECT value FROM json_each(?))
      ORDER BY a.due LIMIT ?`,
    )
    this.#nextDueIn = prepare<{ due: number | null }>(
      db,
      `SELECT min(due) AS due FROM aside
      WHERE grp = ? AND state = 'delayed' AND shard IN (SELECT value FROM json_each(?))`,
    )
    this.#nextDue = prepare<{ due: number | null }>(
      db,
      `SELECT min(due) AS due FROM aside WHERE grp = ? AND state = 'delayed'`,
    )
    this.#knows = prepare(
      db,
      `SELECT 1 FROM claims WHERE pos = ?1 AND grp = ?2
      UNION ALL SELECT 1 FROM aside WHERE pos = ?1 AND grp = ?2`,
    )
    this.#counts = prepare<{ owner: number; n: number }>(
      db,
      'SELECT owner, count(*) AS n FROM claims WHERE grp = ? GROUP BY owner',
    )
    const given = `'delayed', attempts, ?, 'given back', NULL, memo FROM claims`
    this.#freeOwner = prepare(db, `${setAside} SELECT pos, grp, shard, ${given} WHERE owner = ? ${replace}`)
    this.#clearOwner = prepare(db, 'DELETE FROM claims WHERE owner = ?')
    this.#release = prepare<{ grp: string }>(
      db,
      `UPDATE aside SET state = 'delayed', attempts = 0, due = ?, memo = NULL
      WHERE id = ? RETURNING grp`,
    )
    this.#releaseKey = prepare<{ grp: string }>(
      db,
      `UPDATE aside SET state = 'delayed', attempts = 0, due = ?, memo = NULL
      WHERE key = ? AND state = 'parked' RETURNING grp`,
    )
    this.#hasten = prepare(db, `UPDATE aside SET due = max(?1, due - ?2) WHERE state = 'delayed' AND due > ?1`)
  }

  readonly #claim
  readonly #unclaim
  readonly #put
  readonly #take
  readonly #due
  readonly #dueIn
  readonly #nextDue
  readonly #nextDueIn
  readonly #knows
  readonly #counts
  readonly #freeOwner
  readonly #clearOwner
  readonly #release
  readonly #releaseKey
  readonly #hasten

  claim(pos: number, group: string, shard: number, owner: number, attempts: number): void {
    this.#claim.run(pos, group, shard, owner, attempts, null)
  }

  /** Undefined when the owner does not hold it any more. */
  unclaim(pos: number, group: string, owner: number): Claim | undefined {
    return this.#unclaim.get(pos, group, owner)
  }

  /** Keeps a delivery that ended in anything but `done`; returns when it is due. */
  put(pos: number, group: string, shard: number, attempts: number, now: number, outcome: Settlement): number {
    const [, , , kind, after, reason, key, memo] = outcome
    const state = kind === 'retry' ? 'delayed' : kind === 'discard' ? 'dead' : 'parked'
    const due = kind === 'retry' ? now + after : null
    this.#put.run(pos, group, shard, state, attempts, due, reason, key, memo)
    return due ?? Infinity
  }

  /** A delayed delivery that is due becomes a claim. */
  redeliver(due: Due, group: string, owner: number): void {
    this.#take.run(due.id)
    this.#claim.run(due.pos, group, due.shard, owner, due.attempts + 1, due.memo)
  }

  due(group: string, now: number, limit: number): Due[] {
    return this.#due.all(group, now, limit)
  }

  dueIn(group: string, shards: Iterable<number>, now: number, limit: number): Due[] {
    return this.#dueIn.all(group, now, JSON.stringify([...shards]), limit)
  }

  nextDue(group: string): number {
    return this.#nextDue.get(group)!.due ?? Infinity
  }

  nextDueIn(group: string, shards: Iterable<number>): number {
    return this.#nextDueIn.get(group, JSON.stringify([...shards]))!.due ?? Infinity
  }

  knows(pos: number, group: string): boolean {
    return this.#knows.get(pos, group) !== undefined
  }

  counts(group: string): { owner: number; n: number }[] {
    return this.#counts.all(group)
  }

  /** What a consumer held is handed out again. */
  free(owner: number, now: number): void {
    if (this.#freeOwner.run(now, owner).changes) this.#clearOwner.run(owner)
  }

  /** The groups of what was released, one entry for each delivery. */
  release(id: number | null, key: string | null, now: number): string[] {
    const rows = id === null ? this.#releaseKey.all(now, key) : this.#release.all(now, id)
    return rows.map(row => row.grp)
  }

  /**
   * The clock was set back: a pause of seconds must not last until it has caught up. Each process that notices does this, so
   * that pauses become shorter than they were, and never longer.
   */
  hasten(now: number, by: number): void {
    this.#hasten.run(now, by)
  }

  drop(id: number): boolean {
    return this.#take.run(id).changes !== 0
  }
}
