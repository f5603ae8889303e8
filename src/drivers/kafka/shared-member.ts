import type { Consumer, DeliveryOutcome, EncodedEvent, Subscription } from '../../bus/driver.ts'
import { readSettlements } from './committed-offsets.ts'
import { DeliveryEngine } from './delivery-engine.ts'
import type { GroupDefinition, GroupDefinitions } from './group-definitions.ts'
import type { KafkaDelivery } from './kafka-delivery.ts'
import type { KafkaLog } from './kafka-log.ts'
import { GroupMembership } from './membership.ts'
import { OffsetCommitter } from './offset-committer.ts'
import type { PartitionFeed } from './partition-feed.ts'
import { untilDone } from './until-done.ts'

/** What the members of all groups work with. */
export interface MemberContext {
  readonly log: KafkaLog
  readonly definitions: GroupDefinitions
  readonly leaseMs: number
}

/** A subscription of this process. */
export interface KafkaMember extends Consumer {
  readonly engine: DeliveryEngine
  start(): Promise<void>
  /** The broker lost its data. */
  recreate(): Promise<void>
}

/**
 * A member of a shared group. The units of the group are its partitions; with a limit, there are at most as many units as the limit, unit `u`
 * has the partitions that are `u` modulo the number of units, and a fixed share of the limit. A unit is given back when its
 * deliveries have ended, so that all members together never hold more than the limit.
 */
export class SharedMember implements KafkaMember {
  readonly engine: DeliveryEngine
  readonly #context: MemberContext
  #definition: GroupDefinition
  readonly #subscription: Subscription
  readonly #membership: GroupMembership
  readonly #committer: OffsetCommitter
  readonly #closed: (member: SharedMember) => void
  /** The units in use. */
  readonly #units = new Set<number>()
  #limit: number | undefined
  #isClosed = false

  constructor(
    context: MemberContext,
    definition: GroupDefinition,
    subscription: Subscription,
    closed: (member: SharedMember) => void,
  ) {
    const { log, definitions, leaseMs } = context
    this.#context = context
    this.#definition = definition
    this.#subscription = subscription
    this.#closed = closed
    this.#membership = new GroupMembership({
      cluster: log.cluster,
      group: log.names.kafkaGroup(subscription.group),
      topic: log.names.events,
      leaseMs,
      ...(subscription.limit !== undefined && { limit: subscription.limit }),
      countUnits: limit => this.#countUnits(limit),
      onJoining: () => this.engine.freeze(),
      onAssigned: (units, limit) =>
        untilDone(
          () => this.#assigned(units, limit),
          () => this.#isClosed,
        ),
      onRevoked: units => this.#giveBack(units),
      onLost: units => this.#lost(units),
    })
    this.#committer = new OffsetCommitter(log, subscription.group, () => this.#membership)
    this.engine = new DeliveryEngine({
      log,
      definitions,
      subscription,
      settle: (delivery, outcome, events) => this.#settle(delivery, outcome, events),
      onHandOut: feed => this.#committer.commitSoon(feed),
      isValid: () => this.#membership.isValid,
      maxInFlight: () => Math.min(subscription.maxInFlight, this.#slots),
    })
  }

  start(): Promise<void> {
    return this.#membership.start()
  }

  async recreate(): Promise<void> {
    this.#definition = await this.#context.definitions.ensure(this.#subscription)
    this.#membership.restart()
  }

  pause(): void {
    this.engine.pause()
    this.#membership.retire()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.engine.pause()
    this.#closed(this)
    const feeds = [...this.engine.feeds.values()]
    if (this.#membership.isValid) await this.#committer.handOver(feeds).catch(() => {})
    this.engine.close()
    await this.#membership.close()
  }

  async #settle(delivery: KafkaDelivery, outcome: DeliveryOutcome, events: readonly EncodedEvent[]): Promise<void> {
    const { publisher } = this.#context.log
    if (!this.engine.has(delivery)) return
    // Events first, so that a reader who sees the settlement also sees them. After a crash in between, the delivery is repeated.
    if (events.length > 0) await publisher.publish(events)
    // A process that was stopped for long must not touch what another member may have by now.
    if (!this.#membership.isValid) await this.#membership.confirmed()
    if (!this.engine.has(delivery)) return
    const { feed } = delivery
    const records = feed.recordsOf(delivery, outcome)
    if (records.length > 0) await publisher.store(records)
    if (!this.engine.has(delivery)) return
    feed.settled(delivery, outcome)
    this.engine.release(delivery)
    if (!delivery.isRedelivery) await this.#committer.commit(feed)
  }

  /** How many deliveries this member may hold. */
  get #slots(): number {
    const limit = this.#limit
    if (limit === undefined) return Infinity
    const count = this.#countUnits(limit)
    let slots = 0
    for (const unit of this.#units) slots += Math.floor(limit / count) + (unit < limit % count ? 1 : 0)
    return slots
  }

  #countUnits(limit = Infinity): number {
    return Math.min(limit, this.#context.log.names.partitions)
  }

  #partitionsOf(units: readonly number[]): number[] {
    const { partitions } = this.#context.log.names
    const count = this.#countUnits(this.#limit)
    return Array.from({ length: partitions }, (_, partition) => partition).filter(partition =>
      units.includes(partition % count),
    )
  }

  async #assigned(units: readonly number[], limit: number | undefined): Promise<void> {
    const { definitions, log } = this.#context
    const { group, filter } = this.#subscription
    if (units.length > 0) {
      this.#limit = limit
      const partitions = this.#partitionsOf(units)
      // A broker that lost its data has no settlements either: then this fails, before the index delivers old events.
      await log.follower.freshen(partitions)
      const stored = await readSettlements(log, this.#definition, partitions)
      const kept = units.filter(unit => this.#membership.owns(unit) && !this.#units.has(unit))
      for (const unit of kept) this.#units.add(unit)
      for (const partition of this.#partitionsOf(kept)) this.engine.add(partition, stored.get(partition)!)
    }
    await definitions.freshenFilters(group)
    await definitions.addFilter(group, filter)
    this.engine.thaw()
  }

  async #giveBack(units: readonly number[]): Promise<void> {
    for (const unit of units) this.#units.delete(unit)
    const feeds = this.#feedsOf(units)
    await this.engine.drain(feeds, () => this.engine.window.inFlight.size <= this.#slots)
    await this.#committer.handOver(feeds).catch(() => {})
    for (const feed of feeds) this.engine.remove(feed)
  }

  #lost(units: readonly number[]): void {
    for (const unit of units) this.#units.delete(unit)
    for (const feed of this.#feedsOf(units)) this.engine.remove(feed)
  }

  #feedsOf(units: readonly number[]): PartitionFeed[] {
    return this.#partitionsOf(units).flatMap(partition => this.engine.feeds.get(partition) ?? [])
  }
}
