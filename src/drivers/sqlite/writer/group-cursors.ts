import { sqlFor } from '../../../bus/sql.ts'
import type { ProvisionOp, Settlement, ShardProgress, SubscribeOp } from '../protocol.ts'
import type { GroupCursor, WriterContext } from './group-cursor.ts'
import { LeaseTable } from './lease-table.ts'
import type { OfferedEvent } from './log-store.ts'
import type { MemberTable } from './member-table.ts'
import { SharedCursor } from './shared-cursor.ts'
import { ShardedCursor } from './sharded-cursor.ts'

const maxRoutes = 4_096

/** The cursors of the local consumers, and the routing of events to them. */
export class GroupCursors {
  readonly #byConsumer = new Map<number, SharedCursor | ShardedCursor>()
  #cursors: (SharedCursor | ShardedCursor)[] = []
  #sharded: ShardedCursor[] = []
  /** The cursors that an event of a type and target concerns. */
  readonly #routes = new Map<string, GroupCursor[]>()
  /** Consumers that unsubscribed in a lost transaction. */
  readonly #lostUnsubscribes = new Set<number>()
  readonly #context: WriterContext
  readonly #members: MemberTable
  readonly #leases: LeaseTable
  readonly #createOrUpdate
  readonly #createIfMissing
  readonly #createLease
  readonly #horizon

  constructor(context: WriterContext, members: MemberTable) {
    this.#context = context
    this.#members = members
    this.#leases = new LeaseTable(context, members)
    const sql = sqlFor(context.store.db)
    this.#createOrUpdate = sql<{ next: number }>(`INSERT INTO groups VALUES (?, ?, ?, ?)
      ON CONFLICT(name) DO UPDATE SET filter = excluded.filter RETURNING next`)
    this.#createIfMissing = sql('INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?)')
    this.#createLease = sql('INSERT OR IGNORE INTO leases VALUES (?, ?, NULL, ?, 0)')
    this.#horizon = sql<{ value: number }>(`SELECT value FROM meta WHERE key = 'horizon'`)
  }

  get isEmpty(): boolean {
    return this.#cursors.length === 0
  }

  subscribe(op: SubscribeOp): void {
    const { consumer, group, mode, filter, maxInFlight, limit, from } = op
    const owner = this.#members.ownerOf(consumer)
    const { next } = this.#createOrUpdate.get(group, mode, JSON.stringify(filter), this.#startOf(from))!
    this.#members.join(owner, group, filter)
    if (mode === 'shared') {
      const existing = this.#cursors.find(cursor => cursor instanceof SharedCursor && cursor.group === group)
      const cursor = (existing as SharedCursor | undefined) ?? new SharedCursor(this.#context, group, filter)
      cursor.limit = limit ?? Infinity
      cursor.join(consumer, owner, maxInFlight)
      this.#byConsumer.set(consumer, cursor)
    } else {
      this.#createLeases(group, next)
      this.#byConsumer.set(consumer, new ShardedCursor(this.#context, owner, op))
    }
    this.#consumersChanged()
    this.refilter()
    this.rebalance()
  }

  provision({ group, mode, filter, from }: ProvisionOp): void {
    const start = this.#startOf(from)
    const isNew = this.#createIfMissing.run(group, mode, JSON.stringify(filter), start).changes !== 0
    if (isNew && mode === 'sharded') this.#createLeases(group, start)
  }

  pause(consumer: number): void {
    this.#byConsumer.get(consumer)?.pause(consumer)
  }

  unsubscribe(consumer: number): void {
    const cursor = this.#byConsumer.get(consumer)
    if (!cursor) return
    // Events that were claimed in this transaction are given back, so the stored cursor must be behind them.
    cursor.persist(true)
    if (cursor instanceof SharedCursor) cursor.leave(consumer)
    else for (const shard of cursor.shards.keys()) this.#leases.release(cursor, shard)
    this.#members.leave(this.#members.ownerOf(consumer))
    this.#byConsumer.delete(consumer)
    this.#consumersChanged()
    this.refilter()
    this.rebalance()
  }

  closeAll(): void {
    this.persist(true)
    for (const consumer of this.#byConsumer.keys()) this.unsubscribe(consumer)
  }

  route(event: OfferedEvent): void {
    const key = event.target === null ? event.type : `${event.type} ${event.target}`
    let cursors = this.#routes.get(key)
    if (!cursors) {
      cursors = this.#cursors.filter(cursor => cursor.matches(event))
      if (this.#routes.size >= maxRoutes) this.#routes.clear()
      this.#routes.set(key, cursors)
    }
    for (const cursor of cursors) cursor.offer(event)
  }

  /** A consumer received this event early, but another process had stored another event under its id. */
  invalidateEarly(event: OfferedEvent): void {
    for (const cursor of this.#sharded) cursor.invalidateEarly(event)
  }

  settle(settlement: Settlement): void {
    this.#byConsumer.get(settlement.consumer)?.settle(settlement)
  }

  giveBack(consumer: number, pos: number): void {
    const cursor = this.#byConsumer.get(consumer)
    if (cursor instanceof SharedCursor) cursor.giveBack(consumer, pos)
  }

  /** Dispatches what can be dispatched. True if there is more to do at once. */
  fill(): boolean {
    let more = false
    for (const cursor of this.#cursors) more = cursor.fill() || more
    return more
  }

  release(id: number): number {
    return this.#released(this.#context.claims.makeDue(id, this.#context.now))
  }

  releaseParked(key: string): number {
    return this.#released(this.#context.claims.makeParkedDue(key, this.#context.now))
  }

  persist(force: boolean): void {
    for (const cursor of this.#cursors) cursor.persist(force)
  }

  rebalance(): void {
    for (const cursor of this.#sharded) this.#leases.rebalance(cursor)
  }

  /** Members came or went, so what their groups ask for may have changed. */
  refilter(): void {
    this.#routes.clear()
    for (const cursor of this.#sharded) cursor.setGroupFilter(this.#members.filterOf(cursor.group))
  }

  ownerOf(group: string, shard: number): number {
    for (const cursor of this.#sharded) if (cursor.group === group && cursor.shards.has(shard)) return cursor.consumer
    return 0
  }

  /** Whether one of the deliveries came from a shard that was lost since. */
  hasLost(settlements: readonly Settlement[]): boolean {
    return settlements.some(({ consumer, fencingToken }) => {
      const cursor = this.#byConsumer.get(consumer)
      return cursor === undefined || (cursor instanceof ShardedCursor && !cursor.isValid(fencingToken))
    })
  }

  get alarm(): number {
    let alarm = Infinity
    for (const cursor of this.#cursors) {
      alarm = Math.min(alarm, cursor.alarm)
      if (cursor instanceof ShardedCursor) alarm = Math.min(alarm, cursor.saveAt)
    }
    return alarm
  }

  progress(): ShardProgress[] {
    return this.#sharded.flatMap(cursor => cursor.progress())
  }

  reload(): void {
    for (const cursor of this.#cursors) cursor.reload()
  }

  fallBehind(): void {
    for (const cursor of this.#cursors) cursor.fallBehind()
  }

  /** This member was evicted: its consumers rejoin, with nothing in flight. */
  rejoin(): void {
    for (const [consumer, { group, filter }] of this.#byConsumer)
      this.#members.join(this.#members.ownerOf(consumer), group, filter)
  }

  reset(): void {
    for (const cursor of this.#cursors) cursor.reset()
  }

  /** The transaction of a subscription was lost. */
  discardSubscribe(consumer: number): void {
    const cursor = this.#byConsumer.get(consumer)
    if (cursor instanceof SharedCursor) cursor.remove(consumer)
    this.#byConsumer.delete(consumer)
    this.#consumersChanged()
  }

  discardUnsubscribe(consumer: number): void {
    this.discardSubscribe(consumer)
    this.#lostUnsubscribes.add(consumer)
  }

  /** After a lost transaction, once the log can be written: redelivers what no consumer has in flight. */
  redeliver(): void {
    for (const consumer of this.#lostUnsubscribes) this.#members.evictConsumer(this.#members.ownerOf(consumer))
    this.#lostUnsubscribes.clear()
    for (const cursor of this.#sharded) cursor.redeliver()
  }

  #released(groups: readonly string[]): number {
    for (const cursor of this.#cursors) if (groups.includes(cursor.group)) cursor.dueNow()
    return groups.length
  }

  #createLeases(group: string, next: number): void {
    for (let shard = 0; shard < this.#context.store.shards; shard++) this.#createLease.run(group, shard, next)
  }

  #startOf(from: ProvisionOp['from']): number {
    return from === 'now' ? this.#context.store.head + 1 : (this.#horizon.get()?.value ?? 0) + 1
  }

  #consumersChanged(): void {
    this.#routes.clear()
    this.#cursors = [...new Set(this.#byConsumer.values())]
    this.#sharded = this.#cursors.filter(cursor => cursor instanceof ShardedCursor)
  }
}
