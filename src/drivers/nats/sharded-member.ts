import { randomUUIDv7 } from 'node:crypto'
import type { Subscription as NatsSubscription } from '@nats-io/transport-node'
import { type Now, Stopwatch } from '../../bus/clock.ts'
import type { Subscription } from '../../bus/driver.ts'
import { balanceShards } from '../shared/shards.ts'
import type { Groups } from './groups.ts'
import { InFlightWindow, type GroupMember } from './in-flight-window.ts'
import type { NatsDeliveryContext } from './nats-delivery.ts'
import { Membership } from './membership.ts'
import { durableOf } from './names.ts'
import { OwnedShard } from './owned-shard.ts'
import type { NatsLog } from './provision.ts'
import { PullConsumer } from './pull-consumer.ts'
import type { Turns } from './turns.ts'
import { WakeSchedule } from './wake-schedule.ts'

/** What a member needs of its driver. */
export interface MemberContext {
  readonly context: NatsDeliveryContext
  readonly log: NatsLog
  readonly turns: Turns
  readonly groups: Groups
  readonly leaseMs: number
  readonly now: Now
  readonly newInbox: () => string
}

interface OwnedEntry {
  readonly state: OwnedShard
  readonly consumer: PullConsumer
  /** When to read again, by the monotonic clock: something failed, or a change may have been missed. */
  rereadAt: number
  /** When to compare the state with the newest turns. */
  compareAt: number
}

const compareIntervalMs = 3_600_000

/*
 * A member of a sharded group. Its lease is a document that it renews; who owns which shard is another. A member takes its
 * even share of the shards, and pulls only from the consumers of those.
 *
 *     heartbeat, membership change ──▶ read members ──▶ balance shards ──▶ compare and swap ──▶ acquire or release
 */
export class ShardedMember implements GroupMember {
  readonly window: InFlightWindow
  readonly #context: NatsDeliveryContext
  readonly #log: NatsLog
  readonly #turns: Turns
  readonly #groups: Groups
  readonly #subscription: Subscription
  readonly #leaseMs: number
  readonly #newInbox: () => string
  readonly #closed: (consumer: ShardedMember) => void
  readonly #id = randomUUIDv7()
  readonly #membership: Membership
  readonly #wakes: WakeSchedule
  readonly #changes: NatsSubscription
  readonly #owned = new Map<number, OwnedEntry>()
  #rebalancing: Promise<void> | undefined
  #rebalanceAgain = false
  readonly #now: Now
  #renewed: Stopwatch
  #renewing: Promise<void> | undefined
  #isMaintaining = false
  #isClosed = false

  constructor(
    { context, log, turns, groups, leaseMs, now, newInbox }: MemberContext,
    subscription: Subscription,
    closed: (consumer: ShardedMember) => void,
  ) {
    this.#context = context
    this.#log = log
    this.#turns = turns
    this.#groups = groups
    this.#subscription = subscription
    this.#leaseMs = leaseMs
    this.#newInbox = newInbox
    this.#closed = closed
    this.window = new InFlightWindow({
      context,
      subscription,
      ackWaitMs: leaseMs,
      readGroupFilter: () => groups.filterOf(subscription.group),
      onRoom: () => this.#pull(),
    })
    this.#now = now
    this.#renewed = new Stopwatch(now)
    this.#wakes = new WakeSchedule((task, due) => this.#subscription.onWake?.(task, due), now)
    const { group, filter } = subscription
    this.#membership = new Membership({
      connection: context.connection,
      log,
      group,
      id: this.#id,
      filter,
      leaseMs,
      onChange: () => this.#onMembershipChange(),
    })
    this.#changes = context.connection.subscribe(log.names.change('*', group), ({ subject }) => {
      const entry = this.#owned.get(log.names.shardIn(subject))
      if (entry) this.#read(entry).catch(() => {})
    })
  }

  async start(): Promise<void> {
    await this.#renew()
    await this.#rebalance()
  }

  /** The state of a shard that this member owns; undefined if its lease may have expired. */
  owned(shard: number): OwnedShard | undefined {
    return this.#renewed.elapsed <= this.#leaseMs ? this.#owned.get(shard)?.state : undefined
  }

  pause(): void {
    for (const shard of this.#owned.keys()) this.#stopPulling(shard)
    this.window.pause()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.pause()
    this.#closed(this)
    await this.#rebalancing?.catch(() => {})
    this.#wakes.close()
    if (this.#context.connection.isConnected) this.#changes.unsubscribe()
    const shards = [...this.#owned.keys()]
    this.window.giveBack()
    try {
      // Without a connection the lease expires.
      if (!this.#context.connection.isConnected) return
      await Promise.all([...this.#owned.values()].map(({ state }) => state.save(true)))
      await this.#disown(shards)
      await this.#membership.leave()
    } catch {
      // It went just now.
    } finally {
      this.#membership.stop()
      this.#owned.clear()
    }
  }

  async onHeartbeat(now: number): Promise<void> {
    for (const { consumer } of this.#owned.values()) consumer.check()
    // It slept through its lease, so other members own its shards now.
    if (this.#renewed.elapsed > this.#leaseMs) for (const shard of this.#owned.keys()) this.#lose(shard)
    if (this.#renewed.elapsed < this.#leaseMs / 4) return
    await this.#renew()
    // The lease is renewed also during a reading that takes longer, which would be lost otherwise.
    if (this.#isMaintaining) return
    this.#isMaintaining = true
    try {
      await this.#maintain(now)
    } finally {
      this.#isMaintaining = false
    }
  }

  async #maintain(now: number): Promise<void> {
    await this.#rebalance()
    for (const entry of this.#owned.values()) {
      // A reading failed, or a turn of an older version needs the turns before it.
      const isBehind = !entry.state.isComplete && entry.rereadAt === Infinity
      if (isBehind || now >= entry.rereadAt) await this.#reread(entry)
      await entry.state.save()
      if (now >= entry.compareAt) await this.#compare(entry)
    }
  }

  reconnected(): void {
    for (const entry of this.#owned.values()) {
      entry.consumer.restart()
      entry.rereadAt = performance.now() + this.#leaseMs
    }
    this.#onMembershipChange()
  }

  async recreate(): Promise<void> {
    for (const shard of this.#owned.keys()) this.#lose(shard)
    await this.#groups.join(this.#subscription)
    await this.#membership.renew()
    await this.#rebalance()
  }

  /** The lease counts from before the request, so it never ends here later than on the server. */
  #renew(): Promise<void> {
    const renewed = new Stopwatch(this.#now)
    return (this.#renewing ??= this.#membership
      .renew()
      .then(() => void (this.#renewed = renewed))
      .finally(() => (this.#renewing = undefined)))
  }

  async #reread(entry: OwnedEntry): Promise<void> {
    entry.rereadAt = Infinity
    await this.#read(entry)
    if (!entry.state.isComplete) entry.rereadAt = performance.now() + this.#leaseMs
  }

  /** A failed reading is retried with the next heartbeat. */
  async #read(entry: OwnedEntry): Promise<void> {
    try {
      await entry.state.read(this.#turns)
    } catch (error) {
      entry.rereadAt = 0
      throw error
    }
  }

  /** Compares one page: after the take-over is complete, and then rarely. */
  async #compare(entry: OwnedEntry): Promise<void> {
    if (!entry.state.isComplete) return
    if (!(await entry.state.compare(this.#turns))) entry.compareAt = performance.now() + compareIntervalMs
  }

  #onMembershipChange(): void {
    if (!this.#isClosed) void this.#rebalance().catch(() => {})
  }

  /** One at a time; changes that arrive meanwhile are handled afterwards. */
  #rebalance(): Promise<void> {
    this.#rebalanceAgain = true
    return (this.#rebalancing ??= (async () => {
      try {
        while (this.#rebalanceAgain && !this.#isClosed) {
          this.#rebalanceAgain = false
          await this.#rebalanceOnce()
        }
      } finally {
        this.#rebalancing = undefined
      }
    })())
  }

  async #rebalanceOnce(): Promise<void> {
    for (;;) {
      const view = await this.#membership.read()
      if (this.#isClosed) return
      const owners = balanceShards(this.#id, view.members, view.owners)
      for (const shard of this.#owned.keys()) if (owners[shard] !== this.#id) await this.#release(shard)
      const isSame = owners.every((owner, shard) => owner === view.owners[shard])
      if (!isSame && !(await this.#membership.claim(owners, view.revision))) continue
      owners.forEach((owner, shard) => {
        if (owner === this.#id && !this.#owned.has(shard)) this.#acquire(shard)
      })
      await this.#groups.narrow(this.#subscription.group, [...view.filters, this.#subscription.filter])
      return
    }
  }

  #acquire(shard: number): void {
    const { group } = this.#subscription
    const completeFrom = performance.now() + this.#leaseMs
    const state = new OwnedShard({
      log: this.#log,
      group,
      shard,
      completeFrom,
      onWake: (task, live) => this.#wakes.changed(state, task, live),
    })
    const consumer = new PullConsumer({
      connection: this.#context.connection,
      stream: this.#log.names.log,
      consumer: durableOf(group, shard),
      newInbox: this.#newInbox,
      givesBack: true,
      room: () => (this.window.isPaused ? 0 : this.#maxPrefetch - this.window.countWaiting(shard)),
      onMessage: pulled => this.window.receive(pulled),
      onMissing: () => void this.#groups.provision(group).catch(() => {}),
    })
    const entry: OwnedEntry = { state, consumer, rereadAt: completeFrom, compareAt: completeFrom }
    this.#owned.set(shard, entry)
    this.#read(entry).catch(() => {})
  }

  /** Gives a shard up after saving its state. */
  async #release(shard: number): Promise<void> {
    const entry = this.#owned.get(shard)!
    this.#stopPulling(shard)
    this.window.giveBack(shard)
    try {
      await entry.state.save(true)
    } finally {
      // Its consumer is stopped, so the shard must be acquired again even if the save failed.
      this.#lose(shard)
    }
  }

  #lose(shard: number): void {
    this.#stopPulling(shard)
    this.#owned.get(shard)?.state.lose()
    this.#owned.delete(shard)
    this.window.forget(shard)
    this.#subscription.onLost?.(shard)
  }

  #stopPulling(shard: number): void {
    this.#owned.get(shard)?.consumer.stop()
  }

  async #disown(shards: readonly number[]): Promise<void> {
    for (;;) {
      const { owners, revision } = await this.#membership.read()
      const left = owners.map((owner, shard) => (owner === this.#id && shards.includes(shard) ? null : owner))
      if (left.every((owner, shard) => owner === owners[shard])) return
      if (await this.#membership.claim(left, revision)) return
    }
  }

  /** How many deliveries of a shard are requested before the window has room, so that no shard waits for another. */
  get #maxPrefetch(): number {
    return Math.min(64, Math.max(1, Math.ceil(this.#subscription.maxInFlight / Math.max(1, this.#owned.size))))
  }

  #pull(): void {
    for (const { consumer } of this.#owned.values()) consumer.pull()
  }
}
