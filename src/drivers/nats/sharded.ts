import { randomUUIDv7 } from 'node:crypto'
import type { Subscription as NatsSubscription } from '@nats-io/transport-node'
import { type Now, Stopwatch } from '../../bus/clock.ts'
import type { Subscription } from '../../bus/driver.ts'
import { balanceShards } from '../shared/shards.ts'
import type { Groups } from './groups.ts'
import { Hands, type LocalConsumer } from './hands.ts'
import type { Ties } from './handed.ts'
import { Membership } from './membership.ts'
import { durableOf } from './names.ts'
import { OwnedShard } from './owned.ts'
import type { Log } from './provision.ts'
import { Puller } from './puller.ts'
import type { Turns } from './turns.ts'
import { Wakes } from './wakes.ts'

/** What a member needs of its driver. */
interface Context {
  readonly ties: Ties
  readonly log: Log
  readonly turns: Turns
  readonly groups: Groups
  readonly leaseMs: number
  readonly now: Now
  readonly newInbox: () => string
}

interface Owning {
  readonly state: OwnedShard
  readonly puller: Puller
  /** When to read once more, by the monotonic clock: something failed, or may not have been heard. */
  readAgainAt: number
  /** When to compare what is known with the newest turns. */
  compareAt: number
}

const compareEveryMs = 3_600_000

/*
 * A member of a sharded group. Its lease is a document that it renews; who owns which shard is another. A member takes its
 * even share of the shards, and pulls only from the consumers of those.
 *
 *     beat, news ──▶ look ──▶ owners as they should be ──▶ compare and swap ──▶ shards won and lost
 */
export class ShardedConsumer implements LocalConsumer {
  readonly hands: Hands
  readonly #ties: Ties
  readonly #log: Log
  readonly #turns: Turns
  readonly #groups: Groups
  readonly #subscription: Subscription
  readonly #leaseMs: number
  readonly #newInbox: () => string
  readonly #closed: (consumer: ShardedConsumer) => void
  readonly #id = randomUUIDv7()
  readonly #membership: Membership
  readonly #wakes: Wakes
  readonly #changes: NatsSubscription
  readonly #owned = new Map<number, Owning>()
  #looking: Promise<void> | undefined
  #lookAgain = false
  readonly #now: Now
  #renewed: Stopwatch
  #renewing: Promise<void> | undefined
  #isTending = false
  #isClosed = false

  constructor(
    { ties, log, turns, groups, leaseMs, now, newInbox }: Context,
    subscription: Subscription,
    closed: (consumer: ShardedConsumer) => void,
  ) {
    this.#ties = ties
    this.#log = log
    this.#turns = turns
    this.#groups = groups
    this.#subscription = subscription
    this.#leaseMs = leaseMs
    this.#newInbox = newInbox
    this.#closed = closed
    this.hands = new Hands(
      ties,
      subscription,
      leaseMs,
      () => groups.filterOf(subscription.group),
      () => this.#pull(),
    )
    this.#now = now
    this.#renewed = new Stopwatch(now)
    this.#wakes = new Wakes((task, due) => this.#subscription.onWake?.(task, due), now)
    const { group, filter } = subscription
    this.#membership = new Membership(ties.link, log, group, this.#id, filter, leaseMs, () => this.#news())
    this.#changes = ties.link.subscribe(log.names.change('*', group), ({ subject }) => {
      const owning = this.#owned.get(log.names.shardIn(subject))
      if (owning) this.#read(owning).catch(() => {})
    })
  }

  async start(): Promise<void> {
    await this.#renew()
    await this.#look()
  }

  /** The state of a shard of this group, where this member surely owns it: its lease has not run out. */
  owned(shard: number): OwnedShard | undefined {
    return this.#renewed.elapsed <= this.#leaseMs ? this.#owned.get(shard)?.state : undefined
  }

  pause(): void {
    for (const shard of this.#owned.keys()) this.#stopPulling(shard)
    this.hands.pause()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.pause()
    this.#closed(this)
    await this.#looking?.catch(() => {})
    this.#wakes.close()
    if (this.#ties.link.isConnected) this.#changes.unsubscribe()
    const mine = [...this.#owned.keys()]
    this.hands.giveBack()
    try {
      // Where the log is away the lease ends by itself.
      if (!this.#ties.link.isConnected) return
      await Promise.all([...this.#owned.values()].map(({ state }) => state.save(true)))
      await this.#free(mine)
      await this.#membership.leave()
    } catch {
      // It went just now.
    } finally {
      this.#membership.stop()
      this.#owned.clear()
    }
  }

  async beat(now: number): Promise<void> {
    for (const { puller } of this.#owned.values()) puller.check()
    // It slept through the end of its lease: others own its shards by now.
    if (this.#renewed.elapsed > this.#leaseMs) for (const shard of this.#owned.keys()) this.#lose(shard)
    if (this.#renewed.elapsed < this.#leaseMs / 4) return
    await this.#renew()
    // A reading may take longer than a lease, which must be kept meanwhile: else what was read is lost, and read again.
    if (this.#isTending) return
    this.#isTending = true
    try {
      await this.#tend(now)
    } finally {
      this.#isTending = false
    }
  }

  async #tend(now: number): Promise<void> {
    await this.#look()
    for (const owning of this.#owned.values()) {
      // Read in vain, or a turn came that is understood only by those before it.
      const isBehind = !owning.state.isSure && owning.readAgainAt === Infinity
      if (isBehind || now >= owning.readAgainAt) await this.#readAgain(owning)
      await owning.state.save()
      if (now >= owning.compareAt) await this.#compare(owning)
    }
  }

  reconnected(): void {
    for (const owning of this.#owned.values()) {
      owning.puller.restart()
      owning.readAgainAt = performance.now() + this.#leaseMs
    }
    this.#news()
  }

  async renewed(): Promise<void> {
    for (const shard of this.#owned.keys()) this.#lose(shard)
    await this.#groups.join(this.#subscription)
    await this.#membership.beat()
    await this.#look()
  }

  /** The lease counts from before the server was asked: it may end there sooner than here, never later. */
  #renew(): Promise<void> {
    const renewed = new Stopwatch(this.#now)
    return (this.#renewing ??= this.#membership
      .beat()
      .then(() => void (this.#renewed = renewed))
      .finally(() => (this.#renewing = undefined)))
  }

  async #readAgain(owning: Owning): Promise<void> {
    owning.readAgainAt = Infinity
    await this.#read(owning)
    if (!owning.state.isSure) owning.readAgainAt = performance.now() + this.#leaseMs
  }

  /** What fails is read again with the next beat. */
  async #read(owning: Owning): Promise<void> {
    try {
      await owning.state.read(this.#turns)
    } catch (error) {
      owning.readAgainAt = 0
      throw error
    }
  }

  /** A page of it. The first time when the shard was taken over and is surely known, and then rarely. */
  async #compare(owning: Owning): Promise<void> {
    if (!owning.state.isSure) return
    if (!(await owning.state.compare(this.#turns))) owning.compareAt = performance.now() + compareEveryMs
  }

  #news(): void {
    if (!this.#isClosed) void this.#look().catch(() => {})
  }

  /** One look at a time; news that comes meanwhile is looked at afterwards. */
  #look(): Promise<void> {
    this.#lookAgain = true
    return (this.#looking ??= (async () => {
      try {
        while (this.#lookAgain && !this.#isClosed) {
          this.#lookAgain = false
          await this.#settle()
        }
      } finally {
        this.#looking = undefined
      }
    })())
  }

  async #settle(): Promise<void> {
    for (;;) {
      const standing = await this.#membership.look()
      if (this.#isClosed) return
      const owners = balanceShards(this.#id, standing.members, standing.owners)
      for (const shard of this.#owned.keys()) if (owners[shard] !== this.#id) await this.#release(shard)
      const isSame = owners.every((owner, shard) => owner === standing.owners[shard])
      if (!isSame && !(await this.#membership.claim(owners, standing.revision))) continue
      owners.forEach((owner, shard) => {
        if (owner === this.#id && !this.#owned.has(shard)) this.#win(shard)
      })
      await this.#groups.narrow(this.#subscription.group, [...standing.filters, this.#subscription.filter])
      return
    }
  }

  #win(shard: number): void {
    const { group } = this.#subscription
    const sureAt = performance.now() + this.#leaseMs
    const state = new OwnedShard(this.#log, group, shard, sureAt, (task, live) =>
      this.#wakes.changed(state, task, live),
    )
    const puller = new Puller(this.#ties.link, this.#log.names.log, durableOf(group, shard), this.#newInbox, {
      givesBack: true,
      room: () => (this.hands.isPaused ? 0 : this.#early - this.hands.waiting(shard)),
      onMessage: pulled => this.hands.take(pulled),
      onMissing: () => void this.#groups.provision(group).catch(() => {}),
    })
    const owning: Owning = { state, puller, readAgainAt: sureAt, compareAt: sureAt }
    this.#owned.set(shard, owning)
    this.#read(owning).catch(() => {})
  }

  /** Lets a shard go in good order. */
  async #release(shard: number): Promise<void> {
    const owning = this.#owned.get(shard)!
    this.#stopPulling(shard)
    this.hands.giveBack(shard)
    try {
      await owning.state.save(true)
    } finally {
      // Nothing is pulled any more: also where the log is away it must be taken anew, or not at all.
      this.#lose(shard)
    }
  }

  #lose(shard: number): void {
    this.#stopPulling(shard)
    this.#owned.get(shard)?.state.lose()
    this.#owned.delete(shard)
    this.hands.forget(shard)
    this.#subscription.onLost?.(shard)
  }

  #stopPulling(shard: number): void {
    this.#owned.get(shard)?.puller.stop()
  }

  async #free(shards: readonly number[]): Promise<void> {
    for (;;) {
      const { owners, revision } = await this.#membership.look()
      const left = owners.map((owner, shard) => (owner === this.#id && shards.includes(shard) ? null : owner))
      if (left.every((owner, shard) => owner === owners[shard])) return
      if (await this.#membership.claim(left, revision)) return
    }
  }

  /** How many of a shard may come before there is room in the window, so that no shard waits for another. */
  get #early(): number {
    return Math.min(64, Math.max(1, Math.ceil(this.#subscription.inFlight / Math.max(1, this.#owned.size))))
  }

  #pull(): void {
    for (const { puller } of this.#owned.values()) puller.pull()
  }
}
