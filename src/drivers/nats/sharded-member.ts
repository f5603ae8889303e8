import type { Subscription as NatsSubscription } from '@nats-io/transport-node'
import type { Now } from '../../bus/clock.ts'
import type { Subscription } from '../../bus/driver.ts'
import { WakeSchedule } from '../shared/wake-schedule.ts'
import type { Groups } from './groups.ts'
import { InFlightWindow, type GroupMember } from './in-flight-window.ts'
import type { NatsDeliveryContext } from './nats-delivery.ts'
import { durableOf } from './names.ts'
import { OwnedShard } from './owned-shard.ts'
import type { NatsLog } from './nats-log.ts'
import { Ownership } from './ownership.ts'
import { PullConsumer } from './pull-consumer.ts'
import type { Turns } from './turns.ts'

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

/** A member of a sharded group: owns an even share of its shards, and pulls only from the consumers of those. */
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
  readonly #ownership: Ownership<OwnedEntry>
  readonly #wakes: WakeSchedule
  readonly #changes: NatsSubscription
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
    this.#wakes = new WakeSchedule((task, due) => this.#subscription.onWake?.(task, due), now)
    const { group, filter } = subscription
    this.#ownership = new Ownership({
      connection: context.connection,
      log,
      group,
      filter,
      leaseMs,
      now,
      count: () => log.names.shards,
      acquire: shard => this.#acquire(shard),
      release: shard => this.#release(shard),
      lose: (shard, entry) => this.#lose(shard, entry),
      balanced: filters => groups.narrow(group, filters),
    })
    this.#changes = context.connection.subscribe(log.names.change('*', group), ({ subject }) => {
      const entry = this.#owned.get(log.names.shardIn(subject))
      if (entry) this.#read(entry).catch(() => {})
    })
  }

  start(): Promise<void> {
    return this.#ownership.start()
  }

  /** The state of a shard that this member owns; undefined if its lease may have expired. */
  owned(shard: number): OwnedShard | undefined {
    return this.#ownership.isValid ? this.#owned.get(shard)?.state : undefined
  }

  pause(): void {
    for (const { consumer } of this.#owned.values()) consumer.stop()
    this.window.pause()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.pause()
    this.#closed(this)
    await this.#ownership.close(async () => {
      const { isConnected } = this.#context.connection
      this.#wakes.close()
      if (isConnected) this.#changes.unsubscribe()
      this.window.giveBack()
      if (isConnected) await Promise.all([...this.#owned.values()].map(({ state }) => state.save(true)))
    })
  }

  async onHeartbeat(now: number): Promise<void> {
    for (const { consumer } of this.#owned.values()) consumer.check()
    // The lease is renewed also during a reading that takes longer, which would be lost otherwise.
    if (!(await this.#ownership.renewIfDue()) || this.#isMaintaining) return
    this.#isMaintaining = true
    try {
      await this.#maintain(now)
    } finally {
      this.#isMaintaining = false
    }
  }

  async #maintain(now: number): Promise<void> {
    await this.#ownership.rebalance()
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
    this.#ownership.changed()
  }

  recreate(): Promise<void> {
    return this.#ownership.recreate(() => this.#groups.join(this.#subscription))
  }

  get #owned(): ReadonlyMap<number, OwnedEntry> {
    return this.#ownership.owned
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

  #acquire(shard: number): OwnedEntry {
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
      partition: this.#log.names.partitionOf(shard),
      stream: this.#log.streamOfShard(shard).name,
      consumer: durableOf(group, shard),
      newInbox: this.#newInbox,
      givesBack: true,
      room: () => (this.window.isPaused ? 0 : this.#maxPrefetch - this.window.countWaiting(shard)),
      onMessage: pulled => this.window.receive(pulled),
      onMissing: () => void this.#groups.provision(group).catch(() => {}),
    })
    const entry: OwnedEntry = { state, consumer, rereadAt: completeFrom, compareAt: completeFrom }
    this.#read(entry).catch(() => {})
    return entry
  }

  /** Gives a shard up after saving its state. If that fails, its consumer is stopped, so the shard must be acquired again. */
  async #release(shard: number): Promise<void> {
    const { consumer, state } = this.#owned.get(shard)!
    consumer.stop()
    this.window.giveBack(shard)
    await state.save(true)
  }

  #lose(shard: number, { consumer, state }: OwnedEntry): void {
    consumer.stop()
    state.lose()
    this.window.forget(shard)
    this.#subscription.onLost?.(shard)
  }

  /** How many deliveries of a shard are requested before the window has room, so that no shard waits for another. */
  get #maxPrefetch(): number {
    return Math.min(64, Math.max(1, Math.ceil(this.#subscription.maxInFlight / Math.max(1, this.#owned.size))))
  }

  #pull(): void {
    for (const { consumer } of this.#owned.values()) consumer.pull()
  }
}
