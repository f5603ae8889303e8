import {
  compileFilter,
  deferralOf,
  DeliveryWindow,
  shardOf,
  spreadShards,
  type CloudEvent,
  type Consumer,
  type ConsumerGroup,
  type Deferral,
  type DeferredDelivery,
  type Delivery,
  type DeliveryOutcome,
  type Filter,
  type GroupState,
  type LogHolder,
  type Subscription,
} from '../../driver.ts'
import type { MemoryLog, MemoryRow } from './log.ts'

/** An event that the group has not settled. */
export interface MemoryPending {
  readonly row: MemoryRow
  readonly attempt: number
  readonly memo?: string | undefined
}

type MemoryDelivery = Delivery & MemoryPending
type Member = DeliveryWindow<Delivery, MemoryDelivery>

export interface MemoryDeferred {
  readonly entry: Omit<DeferredDelivery, 'event'>
  readonly pending: MemoryPending
  /** When a delayed one is due by the wall clock. */
  readonly due?: number
  /** Ends the wait of a delayed one. */
  readonly cancel: (() => void) | undefined
}

/** Pending events that are handed out in order: all of a shared group, or those of one shard. */
interface Lane {
  readonly queue: MemoryPending[]
  /** Sharded groups: the member that gets them. */
  owner: Member | null
}

let lastDeferredId = 0

export class MemoryGroup {
  readonly group: string
  readonly mode: ConsumerGroup['mode']
  readonly members: Member[] = []
  readonly deferred = new Map<string, MemoryDeferred>()
  filter: Filter
  readonly #log: MemoryLog
  readonly #lanes: Lane[]
  #matches: (event: MemoryRow['event']) => boolean
  #limit = Infinity
  #isScheduled = false

  constructor(log: MemoryLog, { group, mode, filter }: ConsumerGroup) {
    this.#log = log
    this.group = group
    this.mode = mode
    this.filter = filter
    this.#matches = compileFilter(filter)
    this.#lanes = Array.from({ length: mode === 'shared' ? 1 : log.shards }, () => ({ queue: [], owner: null }))
  }

  get state(): GroupState {
    const delayed = [...this.deferred.values()].filter(({ entry }) => entry.state === 'delayed').length
    const { group, mode } = this
    return { group, mode, lag: this.unsettled.length + delayed, inFlight: this.#inFlight.length }
  }

  /** Whether deliveries are handed out soon, or are in flight. What remains in the queue waits for something else. */
  get isBusy(): boolean {
    return this.#isScheduled || this.#inFlight.length > 0
  }

  get deferredDeliveries(): DeferredDelivery[] {
    return [...this.deferred.values()].map(({ entry, pending }) => ({ ...entry, event: JSON.parse(pending.row.json) }))
  }

  /** Holds a partition back from the first event on that is not settled. */
  holdOn(partition: number): LogHolder {
    const positions = this.unsettled.map(({ row }) => row.position).filter(each => each.partition === partition)
    const offset = positions.reduce((first, each) => Math.min(first, each.offset), Infinity)
    return { offset, heldBy: `group ${this.group}` }
  }

  ownerOf(shard: number): Subscription | undefined {
    return this.#lanes[shard]?.owner?.subscription
  }

  offer(row: MemoryRow): void {
    if (!this.#matches(row.event)) return
    this.#laneOf(row).queue.push({ row, attempt: 1 })
    this.#schedule()
  }

  join(subscription: Subscription): Consumer {
    const member: Member = new DeliveryWindow(subscription, delivery => delivery)
    this.members.push(member)
    this.#limit = subscription.limit ?? Infinity
    this.#rebalance()
    return {
      pause() {
        member.isPaused = true
      },
      close: async () => this.#leave(member),
    }
  }

  holds(delivery: Delivery): boolean {
    return this.#inFlight.some(each => each === delivery)
  }

  /** Has no effect if another member has the event now. */
  settle(delivery: Delivery, outcome: DeliveryOutcome): void {
    const own = this.#inFlight.find(each => each === delivery)
    if (!own) return
    for (const member of this.members) member.remove(own)
    if (outcome.kind !== 'done') this.#defer(own, deferralOf(outcome))
    this.#schedule()
  }

  redeliver(which: { id: string } | { key: string }): number {
    const chosen = [...this.deferred.values()].filter(({ entry }) =>
      'id' in which ? entry.id === which.id : entry.state === 'parked' && entry.key === which.key,
    )
    for (const { entry, pending } of chosen) {
      this.discard(entry.id)
      this.requeue({ row: pending.row, attempt: 1 })
    }
    return chosen.length
  }

  discard(id: string): boolean {
    this.deferred.get(id)?.cancel?.()
    return this.deferred.delete(id)
  }

  get #inFlight(): MemoryDelivery[] {
    return this.members.flatMap(({ inFlight }) => [...inFlight.values()])
  }

  get unsettled(): MemoryPending[] {
    return [...this.#inFlight, ...this.#lanes.flatMap(({ queue }) => queue)]
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

  #handOut({ queue, owner }: Lane): void {
    let handedOut = 0
    for (; handedOut < queue.length && this.#inFlight.length < this.#limit; handedOut++) {
      const member = this.mode === 'sharded' ? owner : this.#leastBusy
      if (!member || member.room <= 0) break
      member.admit(this.#deliveryOf(queue[handedOut]!))
    }
    queue.splice(0, handedOut)
  }

  #deliveryOf(pending: MemoryPending): MemoryDelivery {
    const delivery: MemoryDelivery = {
      ...pending,
      group: this.group,
      event: JSON.parse(pending.row.json) as CloudEvent,
      since: pending.row.at,
      settle: async (outcome, events = []) => {
        this.#log.publish(events)
        this.settle(delivery, outcome)
      },
    }
    return delivery
  }

  get #leastBusy(): Member | undefined {
    return this.members.filter(({ room }) => room > 0).toSorted((a, b) => a.inFlight.size - b.inFlight.size)[0]
  }

  #laneOf({ event }: MemoryRow): Lane {
    return this.#lanes[this.mode === 'shared' ? 0 : shardOf(event.correlationid, this.#log.shards)]!
  }

  /** Before what comes later on the log. */
  requeue(pending: MemoryPending): void {
    const { queue } = this.#laneOf(pending.row)
    const at = queue.findIndex(({ row }) => row.position.offset > pending.row.position.offset)
    queue.splice(at < 0 ? queue.length : at, 0, pending)
    this.#schedule()
  }

  /** Others get these deliveries of a member. */
  #takeBack(member: Member, isMeant: (delivery: MemoryDelivery) => boolean): void {
    const taken = [...member.inFlight.values()].filter(isMeant)
    member.forget(isMeant)
    for (const { row, attempt, memo } of taken) this.requeue({ row, attempt: attempt + 1, memo })
  }

  #leave(member: Member): void {
    if (!this.members.includes(member)) return
    this.members.splice(this.members.indexOf(member), 1)
    for (const lane of this.#lanes) if (lane.owner === member) lane.owner = null
    this.#takeBack(member, () => true)
    this.#rebalance()
  }

  #rebalance(): void {
    if (this.members.length > 0) {
      this.filter = this.members.flatMap(each => each.subscription.filter)
      this.#matches = compileFilter(this.filter)
    }
    if (this.mode === 'shared') return this.#schedule()
    const before = this.#lanes.map(({ owner }) => owner)
    const owners = spreadShards(this.members, before)
    this.#lanes.forEach((lane, shard) => {
      lane.owner = owners[shard]!
      const loser = before[shard]
      if (!loser || loser === lane.owner) return
      this.#takeBack(loser, ({ row }) => this.#laneOf(row) === lane)
      loser.subscription.onLost?.(shard)
    })
    this.#log.ownersChanged(this.group)
    this.#schedule()
  }

  #defer({ row, attempt, memo: before }: MemoryPending, { delayMs, memo, ...rest }: Deferral): void {
    const next = delayMs === undefined ? { row, attempt, memo: before } : { row, attempt: attempt + 1, memo }
    if (delayMs === 0) return this.requeue(next)
    const due = delayMs === undefined ? undefined : this.#log.clock.now() + delayMs
    this.setAside({ group: this.group, attempts: attempt, ...rest }, next, due)
  }

  /** Keeps a delivery that is delayed, parked or dead. `due`: when a delayed one is delivered again, by the wall clock. */
  setAside(entry: Omit<DeferredDelivery, 'id' | 'event'>, next: MemoryPending, due?: number): void {
    const id = String(++lastDeferredId)
    const redeliver = () => {
      this.deferred.delete(id)
      this.requeue(next)
    }
    const { clock } = this.#log
    this.deferred.set(id, {
      entry: { id, ...entry },
      pending: next,
      cancel: due === undefined ? undefined : clock.after(Math.max(0, due - clock.now()), redeliver),
      ...(due !== undefined && { due }),
    })
  }
}
