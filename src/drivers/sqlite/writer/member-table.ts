import type { DatabaseSync } from 'node:sqlite'
import { sqlFor } from '../../../bus/sql.ts'
import type { Filter } from '../../../pattern.ts'
import { hostId, startTimeOf } from '../../../bus/processes.ts'
import { consumersPerMember } from '../schema.ts'
import type { WriterContext } from './group-cursor.ts'

interface MemberRow {
  id: number
  pid: number
  started: string
  host: string
  until: number
}

/** The lease that a member last stored, and when it ends by the monotonic clock. */
interface ObservedLease {
  readonly until: number
  readonly endsAt: number
}

/** A lease that is longer than this many of one's own is cut: the clock may have been set back since it began. */
const maxLeaseFactor = 4

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    newId: sql<{ id: number }>('INSERT INTO members VALUES (NULL, ?, ?, ?, ?) RETURNING id'),
    list: sql<MemberRow>('SELECT * FROM members'),
    heartbeat: sql('INSERT INTO members VALUES (?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET until = excluded.until'),
    ownersBetween: sql<{ owner: number }>('SELECT owner FROM consumers WHERE owner >= ? AND owner < ?'),
    consumersOf: sql<{ owner: number; filter: string }>(
      'SELECT owner, filter FROM consumers WHERE grp = ? ORDER BY owner',
    ),
    deleteConsumer: sql('DELETE FROM consumers WHERE owner = ?'),
    deleteMember: sql('DELETE FROM members WHERE id = ?'),
    freeLeases: sql('UPDATE leases SET owner = NULL, suspect = ? WHERE owner = ?'),
    join: sql('INSERT OR REPLACE INTO consumers VALUES (?, ?, ?)'),
  }
}

/** Open drivers on this log: this one renews its lease, and evicts those whose lease has ended. */
export class MemberTable {
  readonly id: number
  #others: MemberRow[] = []
  #observed = new Map<number, ObservedLease>()
  readonly #context: WriterContext
  readonly #leaseMs: number
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(context: WriterContext, leaseMs: number) {
    this.#context = context
    this.#leaseMs = leaseMs
    this.#sql = statementsFor(context.store.db)
    this.id = this.#sql.newId.get(process.pid, startTimeOf(process.pid), hostId, context.now + leaseMs)!.id
  }

  get otherCount(): number {
    return this.#others.length
  }

  /** The number of a local consumer among the consumers of all members. */
  ownerOf(consumer: number): number {
    return this.id * consumersPerMember + consumer
  }

  join(owner: number, group: string, filter: Filter): void {
    this.#sql.join.run(owner, group, JSON.stringify(filter))
  }

  leave(owner: number): void {
    this.#sql.deleteConsumer.run(owner)
  }

  ownersOf(group: string): number[] {
    return this.#livingConsumers(group).map(({ owner }) => owner)
  }

  /**
   * Everything that the consumers of a group ask for together. While versions of an app overlap, the owner of a shard also receives
   * events that only other versions know, and its engine hands them back. If it skipped them, they would be lost.
   */
  filterOf(group: string): Filter {
    return this.#livingConsumers(group).flatMap(row => JSON.parse(row.filter) as Filter)
  }

  #livingConsumers(group: string) {
    const members = new Set([this.id, ...this.#others.map(({ id }) => id)])
    return this.#sql.consumersOf.all(group).filter(({ owner }) => members.has(Math.floor(owner / consumersPerMember)))
  }

  heartbeat(): void {
    this.#sql.heartbeat.run(this.id, process.pid, startTimeOf(process.pid), hostId, this.#context.now + this.#leaseMs)
  }

  /** Reads the table. False if this member was evicted, because its heartbeat stopped for too long. */
  reload(): boolean {
    const all = this.#sql.list.all()
    this.#others = all.filter(({ id }) => id !== this.id)
    this.#observed = new Map(this.#others.map(other => [other.id, this.#observe(other)]))
    return this.#others.length < all.length
  }

  hasExpired(): boolean {
    return this.#others.some(other => !this.#isAlive(other))
  }

  /** Frees what dead members held. True if there were any. */
  evictExpired(): boolean {
    const dead = this.#others.filter(other => !this.#isAlive(other))
    for (const { id } of dead) {
      const first = id * consumersPerMember
      for (const { owner } of this.#sql.ownersBetween.all(first, first + consumersPerMember)) this.evictConsumer(owner)
      this.#sql.deleteMember.run(id)
    }
    this.#others = this.#others.filter(other => !dead.includes(other))
    return dead.length > 0
  }

  /** Frees what a consumer held that ended without giving it back. */
  evictConsumer(owner: number): void {
    this.#context.claims.giveBackAll(owner, this.#context.now)
    this.#sql.freeLeases.run(this.#context.store.head, owner)
    this.#sql.deleteConsumer.run(owner)
  }

  removeSelf(): void {
    this.#sql.deleteMember.run(this.id)
  }

  /** A lease counts from when it is observed, because the wall clock may be set between two heartbeats. */
  #observe({ id, until }: MemberRow): ObservedLease {
    const known = this.#observed.get(id)
    if (known?.until === until) return known
    const leftMs = until - this.#context.now
    const hasEnded = leftMs < 0 && !known
    const leaseMs = hasEnded ? 0 : leftMs > 0 ? Math.min(leftMs, maxLeaseFactor * this.#leaseMs) : this.#leaseMs
    return { until, endsAt: performance.now() + leaseMs }
  }

  #isAlive({ id, pid, host, started }: MemberRow): boolean {
    if (this.#observed.get(id)!.endsAt < performance.now()) return false
    return host !== hostId || startTimeOf(pid) === started
  }
}
