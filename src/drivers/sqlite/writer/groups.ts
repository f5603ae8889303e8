import type { LocalShard, Op, Settlement } from '../protocol.ts'
import { prepare } from '../schema.ts'
import type { Desk, Intake } from './intake.ts'
import { Leases } from './leases.ts'
import type { Members } from './members.ts'
import { SharedGroup } from './shared.ts'
import { ShardedConsumer } from './sharded.ts'
import type { Row } from './store.ts'

type ProvisionOp = Extract<Op, [kind: 'provision', ...unknown[]]>
type SubscribeOp = Extract<Op, [kind: 'subscribe', ...unknown[]]>

const routesKept = 4_096

/** The local consumers and the way of events to them. */
export class Groups {
  readonly #consumers = new Map<number, SharedGroup | ShardedConsumer>()
  #intakes: (SharedGroup | ShardedConsumer)[] = []
  /** Intakes by type and target, so that a row finds its few among many. */
  readonly #routes = new Map<string, Intake[]>()
  /** Consumers that closed in a lost transaction. */
  readonly #orphans = new Set<number>()
  readonly #desk: Desk
  readonly #members: Members
  readonly #leases: Leases
  readonly #create
  readonly #createAbsent
  readonly #createLease

  constructor(desk: Desk, members: Members) {
    this.#desk = desk
    this.#members = members
    this.#leases = new Leases(desk, members)
    const { db } = desk.store
    this.#create = prepare<{ next: number }>(
      db,
      `INSERT INTO groups VALUES (?, ?, ?, ?)
      ON CONFLICT(name) DO UPDATE SET filter = excluded.filter RETURNING next`,
    )
    this.#createAbsent = prepare(db, 'INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?)')
    this.#createLease = prepare(db, 'INSERT OR IGNORE INTO leases VALUES (?, ?, NULL, ?, 0)')
  }

  get isEmpty(): boolean {
    return this.#intakes.length === 0
  }

  subscribe([, consumer, group, mode, filter, window, limit, from]: SubscribeOp): void {
    const desk = this.#desk
    const owner = this.#members.ownerOf(consumer)
    const { next } = this.#create.get(group, mode, JSON.stringify(filter), this.#startOf(from))!
    this.#members.join(owner, group, filter)
    if (mode === 'shared') {
      const known = this.#intakes.find(intake => intake instanceof SharedGroup && intake.group === group)
      const intake = (known as SharedGroup | undefined) ?? new SharedGroup(desk, group, filter, Infinity)
      intake.limit = limit ?? Infinity
      intake.join(consumer, owner, window)
      this.#consumers.set(consumer, intake)
    } else {
      this.#makeLeases(group, next)
      this.#consumers.set(consumer, new ShardedConsumer(desk, consumer, owner, group, filter, window))
    }
    this.#changed()
    this.refilter()
    this.rebalance()
  }

  provision([, group, mode, filter, from]: ProvisionOp): void {
    const start = this.#startOf(from)
    const isNew = this.#createAbsent.run(group, mode, JSON.stringify(filter), start).changes !== 0
    if (isNew && mode === 'sharded') this.#makeLeases(group, start)
  }

  pause(consumer: number): void {
    this.#consumers.get(consumer)?.pause(consumer)
  }

  unsubscribe(consumer: number): void {
    const intake = this.#consumers.get(consumer)
    if (!intake) return
    // What was claimed in this same transaction is given back; the cursor must not stay before it.
    intake.persist(true)
    if (intake instanceof SharedGroup) intake.leave(consumer)
    else for (const shard of intake.shards.keys()) this.#leases.release(intake, shard)
    this.#members.leave(this.#members.ownerOf(consumer))
    this.#consumers.delete(consumer)
    this.#changed()
    this.refilter()
    this.rebalance()
  }

  closeAll(): void {
    this.persist(true)
    for (const consumer of this.#consumers.keys()) this.unsubscribe(consumer)
  }

  route(row: Row): void {
    const key = row.target === null ? row.type : `${row.type} ${row.target}`
    let intakes = this.#routes.get(key)
    if (!intakes) {
      intakes = this.#intakes.filter(intake => intake.matches(row))
      if (this.#routes.size >= routesKept) this.#routes.clear()
      this.#routes.set(key, intakes)
    }
    for (const intake of intakes) intake.offer(row)
  }

  /** A consumer was handed this row early, and another process had stored an event under its id. */
  dispute(row: Row): void {
    for (const intake of this.#intakes) if (intake instanceof ShardedConsumer) intake.dispute(row)
  }

  settle(settlement: Settlement): void {
    this.#consumers.get(settlement[0])?.settle(settlement)
  }

  giveBack(consumer: number, pos: number): void {
    const intake = this.#consumers.get(consumer)
    if (intake instanceof SharedGroup) intake.giveBack(consumer, pos)
  }

  /** Hands out what waits. True when there is more to do at once. */
  fill(): boolean {
    let more = false
    for (const intake of this.#intakes) more = intake.fill() || more
    return more
  }

  release(id: number | null, key: string | null): number {
    const released = this.#desk.ledger.release(id, key, this.#desk.now)
    for (const intake of this.#intakes) if (released.includes(intake.group)) intake.hurry()
    return released.length
  }

  persist(idle: boolean): void {
    for (const intake of this.#intakes) intake.persist(idle)
  }

  rebalance(): void {
    for (const intake of this.#intakes) if (intake instanceof ShardedConsumer) this.#leases.rebalance(intake)
  }

  /** Members came or went: what their groups ask for may have changed. */
  refilter(): void {
    this.#routes.clear()
    for (const intake of this.#intakes)
      if (intake instanceof ShardedConsumer) intake.widen(this.#members.filterOf(intake.group))
  }

  /** The local consumer that owns a shard, 0 for none. */
  ownerOf(group: string, shard: number): number {
    for (const intake of this.#intakes)
      if (intake instanceof ShardedConsumer && intake.group === group && intake.shards.has(shard))
        return intake.consumer
    return 0
  }

  /** Whether something to settle was handed out of a shard that was lost since. */
  areLost(settlements: readonly Settlement[]): boolean {
    return settlements.some(([consumer, , ticket]) => {
      const intake = this.#consumers.get(consumer)
      return intake === undefined || (intake instanceof ShardedConsumer && !intake.isValid(ticket))
    })
  }

  get alarm(): number {
    let alarm = Infinity
    for (const intake of this.#intakes) {
      alarm = Math.min(alarm, intake.alarm)
      if (intake instanceof ShardedConsumer) alarm = Math.min(alarm, intake.saveAt)
    }
    return alarm
  }

  describe(): LocalShard[] {
    return this.#intakes.flatMap(intake => (intake instanceof ShardedConsumer ? intake.describe() : []))
  }

  reload(): void {
    for (const intake of this.#intakes) intake.reload()
  }

  goBehind(): void {
    for (const intake of this.#intakes) intake.goBehind()
  }

  /** This member was taken for dead; its consumers are members again, with nothing in hand. */
  rejoin(): void {
    for (const [consumer, intake] of this.#consumers)
      this.#members.join(this.#members.ownerOf(consumer), intake.group, intake.filter)
  }

  reset(): void {
    for (const intake of this.#intakes) intake.reset()
  }

  /** A subscription whose transaction was lost. */
  undo(consumer: number): void {
    const intake = this.#consumers.get(consumer)
    if (intake instanceof SharedGroup) intake.remove(consumer)
    this.#consumers.delete(consumer)
    this.#changed()
  }

  orphan(consumer: number): void {
    this.undo(consumer)
    this.#orphans.add(consumer)
  }

  /** The log can be written again: what nobody has in hand since a transaction was lost is handed out anew. */
  redeliver(): void {
    for (const consumer of this.#orphans) this.#members.forget(this.#members.ownerOf(consumer))
    this.#orphans.clear()
    for (const intake of this.#intakes) if (intake instanceof ShardedConsumer) intake.redeliver()
  }

  #makeLeases(group: string, next: number): void {
    for (let shard = 0; shard < this.#desk.store.shards; shard++) this.#createLease.run(group, shard, next)
  }

  #startOf(from: SubscribeOp[7]): number {
    return from === 'now' ? this.#desk.store.head + 1 : 1
  }

  #changed(): void {
    this.#routes.clear()
    this.#intakes = [...new Set(this.#consumers.values())]
  }
}
