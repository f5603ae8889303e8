import {
  balanceShards,
  compileFilter,
  deferralOf,
  shardOf,
  type CloudEvent,
  type Consumer,
  type ConsumerGroup,
  type Deferral,
  type DeferredDelivery,
  type Delivery,
  type DeliveryOutcome,
  type EncodedEvent,
  type Filter,
  type GroupState,
  type Subscription,
} from '../../driver.ts'
import type { MemoryLog, Row } from './log.ts'

/** An event that the group has not settled. */
interface Pending {
  readonly row: Row
  readonly attempt: number
  readonly memo?: string | undefined
}

interface Deferred {
  readonly entry: Omit<DeferredDelivery, 'event'>
  readonly pending: Pending
  /** Ends the wait of a delayed one. */
  readonly cancel?: () => void
}

/** Pending events that are handed out in order: all of a shared group, or those of one shard. */
interface Lane {
  queue: Pending[]
  /** Sharded groups: the member that gets them. */
  owner: MemoryMember | null
}

let lastDeferredId = 0

export class MemoryGroup {
  readonly group: string
  readonly mode: ConsumerGroup['mode']
  limit = Infinity
  readonly #deferred = new Map<string, Deferred>()
  readonly #log: MemoryLog
  readonly #lanes: Lane[]
  readonly members: MemoryMember[] = []
  readonly #inFlight = new Set<MemoryDelivery>()
  #matches: (event: Row['event']) => boolean
  #isScheduled = false

  constructor({ log, group, mode, filter }: Pick<ConsumerGroup, 'group' | 'mode' | 'filter'> & { log: MemoryLog }) {
    this.#log = log
    this.group = group
    this.mode = mode
    this.#matches = compileFilter(filter)
    this.#lanes = Array.from({ length: mode === 'shared' ? 1 : log.shards }, () => ({ queue: [], owner: null }))
  }

  get state(): GroupState {
    const delayed = [...this.#deferred.values()].filter(({ entry }) => entry.state === 'delayed').length
    const queued = this.#lanes.reduce((sum, { queue }) => sum + queue.length, 0)
    const inFlight = this.#inFlight.size
    return { group: this.group, mode: this.mode, lag: queued + inFlight + delayed, inFlight }
  }

  /** Whether deliveries are handed out soon, or are in flight. What remains in the queue waits for something else. */
  get isBusy(): boolean {
    return this.#isScheduled || this.#inFlight.size > 0
  }

  get deferredDeliveries(): DeferredDelivery[] {
    return [...this.#deferred.values()].map(({ entry, pending }) => ({ ...entry, event: JSON.parse(pending.row.json) }))
  }

  /** The first offset of a partition that is not settled; Infinity if all are. */
  firstUnsettled(partition: number): number {
    const queued = this.#lanes.flatMap(({ queue }) => queue)
    return [...queued, ...[...this.#inFlight].map(({ pending }) => pending)]
      .filter(({ row }) => row.position.partition === partition)
      .reduce((first, { row }) => Math.min(first, row.position.offset), Infinity)
  }

  ownerOf(shard: number): MemoryMember | null | undefined {
    return this.#lanes[shard]?.owner
  }

  offer(row: Row): void {
    if (!this.#matches(row.event)) return
    this.#laneOf(row).queue.push({ row, attempt: 1 })
    this.#schedule()
  }

  join(subscription: Subscription): MemoryMember {
    const member = new MemoryMember(this, subscription)
    this.members.push(member)
    this.limit = subscription.limit ?? Infinity
    this.#rebalance()
    return member
  }

  leave(member: MemoryMember): void {
    if (!this.members.includes(member)) return
    this.members.splice(this.members.indexOf(member), 1)
    for (const lane of this.#lanes) if (lane.owner === member) lane.owner = null
    this.#takeBack(delivery => delivery.member === member)
    this.#rebalance()
  }

  holds(delivery: Delivery): boolean {
    return this.#inFlight.has(delivery as MemoryDelivery)
  }

  publishAndSettle(delivery: MemoryDelivery, outcome: DeliveryOutcome, events: readonly EncodedEvent[]): void {
    this.#log.publish(events)
    if (this.holds(delivery)) this.settle(delivery, outcome)
  }

  settle(delivery: Delivery, outcome: DeliveryOutcome): void {
    const own = delivery as MemoryDelivery
    this.#inFlight.delete(own)
    own.member.inFlight--
    if (outcome.kind !== 'done') this.#defer(own.pending, deferralOf(outcome))
    this.#schedule()
  }

  redeliver(which: { id: string } | { key: string }): number {
    const chosen = [...this.#deferred.values()].filter(({ entry }) =>
      'id' in which ? entry.id === which.id : entry.state === 'parked' && entry.key === which.key,
    )
    for (const { entry, pending } of chosen) {
      this.discard(entry.id)
      this.#requeue({ row: pending.row, attempt: 1 })
    }
    return chosen.length
  }

  discard(id: string): boolean {
    this.#deferred.get(id)?.cancel?.()
    return this.#deferred.delete(id)
  }

  /** Hands out soon, once for many changes. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#log.activity++
      for (const lane of this.#lanes) this.#handOut(lane)
    })
  }

  #handOut(lane: Lane): void {
    let handedOut = 0
    for (; handedOut < lane.queue.length && this.#inFlight.size < this.limit; handedOut++) {
      const member = this.mode === 'sharded' ? lane.owner : this.#leastBusy
      if (!member?.hasRoom) break
      const delivery = new MemoryDelivery(this, member, lane.queue[handedOut]!)
      this.#inFlight.add(delivery)
      member.inFlight++
      member.subscription.onDelivery(delivery)
    }
    lane.queue.splice(0, handedOut)
  }

  get #leastBusy(): MemoryMember | undefined {
    return this.members.filter(({ hasRoom }) => hasRoom).toSorted((a, b) => a.inFlight - b.inFlight)[0]
  }

  #laneOf({ event }: Row): Lane {
    return this.#lanes[this.mode === 'shared' ? 0 : shardOf(event.correlationid, this.#log.shards)]!
  }

  /** In the order of the log, before what was not handed out yet. */
  #requeue(pending: Pending): void {
    const { queue } = this.#laneOf(pending.row)
    const at = queue.findIndex(({ row }) => row.order > pending.row.order)
    queue.splice(at < 0 ? queue.length : at, 0, pending)
    this.#schedule()
  }

  #takeBack(isTaken: (delivery: MemoryDelivery) => boolean): void {
    for (const delivery of this.#inFlight) {
      if (!isTaken(delivery)) continue
      this.#inFlight.delete(delivery)
      delivery.member.inFlight--
      this.#requeue({ ...delivery.pending, attempt: delivery.pending.attempt + 1 })
    }
  }

  #rebalance(): void {
    if (this.members.length > 0)
      this.#matches = compileFilter(this.members.flatMap(({ subscription }): Filter => subscription.filter))
    if (this.mode === 'shared') return this.#schedule()
    const before = this.#lanes.map(({ owner }) => owner)
    let owners = before
    // Twice: what a member gives up in the first round is taken in the second.
    for (let round = 0; round < 2; round++)
      for (const member of this.members) owners = balanceShards(member, this.members, owners)
    this.#lanes.forEach((lane, shard) => {
      lane.owner = owners[shard]!
      const loser = before[shard]
      if (!loser || loser === lane.owner) return
      this.#takeBack(delivery => delivery.member === loser && this.#laneOf(delivery.pending.row) === lane)
      loser.subscription.onLost?.(shard)
    })
    this.#log.ownersChanged(this.group)
    this.#schedule()
  }

  #defer(pending: Pending, { delayMs, memo, ...rest }: Deferral): void {
    const next = delayMs === undefined ? pending : { ...pending, attempt: pending.attempt + 1, memo }
    if (delayMs === 0) return this.#requeue(next)
    const id = String(++lastDeferredId)
    const entry = { id, group: this.group, attempts: pending.attempt, ...rest }
    const redeliver = () => void (this.#deferred.delete(id) && this.#requeue(next))
    const cancel = delayMs === undefined ? undefined : this.#log.clock.after(delayMs, redeliver)
    this.#deferred.set(id, { entry, pending: next, ...(cancel && { cancel }) })
  }
}

export class MemoryMember implements Consumer {
  readonly subscription: Subscription
  inFlight = 0
  readonly #group: MemoryGroup
  #isPaused = false

  constructor(group: MemoryGroup, subscription: Subscription) {
    this.#group = group
    this.subscription = subscription
  }

  get hasRoom(): boolean {
    return !this.#isPaused && this.inFlight < this.subscription.maxInFlight
  }

  pause(): void {
    this.#isPaused = true
  }

  async close(): Promise<void> {
    this.pause()
    this.#group.leave(this)
  }
}

class MemoryDelivery implements Delivery {
  readonly group: string
  readonly event: CloudEvent
  readonly attempt: number
  readonly since: number
  readonly memo: string | undefined
  readonly member: MemoryMember
  readonly pending: Pending
  readonly #group: MemoryGroup

  constructor(group: MemoryGroup, member: MemoryMember, pending: Pending) {
    this.#group = group
    this.member = member
    this.pending = pending
    this.group = group.group
    this.event = JSON.parse(pending.row.json) as CloudEvent
    this.attempt = pending.attempt
    this.since = pending.row.at
    this.memo = pending.memo
  }

  async settle(outcome: DeliveryOutcome, events: readonly EncodedEvent[] = []): Promise<void> {
    this.#group.publishAndSettle(this, outcome, events)
  }
}
