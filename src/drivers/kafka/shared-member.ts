import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, DeliveryOutcome, EncodedEvent, Subscription } from '../../bus/driver.ts'
import { readSettlements, settlementRecord } from './committed-offsets.ts'
import { DeliveryEngine } from './delivery-engine.ts'
import type { GroupDefinition, GroupDefinitions } from './group-definitions.ts'
import type { KafkaDelivery } from './kafka-delivery.ts'
import type { KafkaLog } from './kafka-log.ts'
import { GroupMembership } from './membership.ts'
import { OffsetCommitter } from './offset-committer.ts'
import type { PartitionFeed } from './partition-feed.ts'
import { untilDone } from './until-done.ts'

/** What a member works with. */
export interface KafkaMemberOptions {
  readonly log: KafkaLog
  readonly definitions: GroupDefinitions
  readonly leaseMs: number
  readonly definition: GroupDefinition
  readonly subscription: Subscription
  /** The member takes no part any more. */
  readonly onClosed: () => void
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
 * has the partitions that are `u` modulo the number of units, and a fixed share of the limit. A unit moves at once: the deliveries that its
 * owner works on become records, and use the share of the next owner until they end. So all members together never hold more than
 * the limit, and a long call delays no other.
 */
export class KafkaSharedMember implements KafkaMember {
  readonly engine: DeliveryEngine
  readonly #options: KafkaMemberOptions
  #definition: GroupDefinition
  readonly #subscription: Subscription
  readonly #membership: GroupMembership
  readonly #committer: OffsetCommitter
  /** The units in use. */
  readonly #units = new Set<number>()
  /** Deliveries of partitions that other members have now. */
  readonly #handedOver = new Set<KafkaDelivery>()
  /** Deliveries whose end is being stored. */
  readonly #concluding = new Set<Promise<void>>()
  /** Deliveries are being handed over. */
  #moving: Promise<void> | undefined
  #limit: number | undefined
  #checkTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: KafkaMemberOptions) {
    const { log, definitions, leaseMs, definition, subscription } = options
    this.#options = options
    this.#definition = definition
    this.#subscription = subscription
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
      maxInFlight: () =>
        Math.min(subscription.maxInFlight, this.#slots - this.engine.countHeld) - this.#handedOver.size,
    })
  }

  start(): Promise<void> {
    return this.#membership.start()
  }

  async recreate(): Promise<void> {
    this.#definition = await this.#options.definitions.ensure(this.#subscription)
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
    this.#options.onClosed()
    clearTimeout(this.#checkTimer)
    // Not longer than a call: the broker may be away.
    const { timeoutMs } = this.#options.log.cluster
    await Promise.race([this.#giveBackAll().catch(() => {}), sleep(timeoutMs, undefined, { ref: false })])
    this.engine.close()
    await this.#membership.close()
  }

  async #giveBackAll(): Promise<void> {
    await Promise.allSettled(this.#concluding)
    if (!this.#membership.isValid) return
    const records = Array.from(this.#handedOver, delivery => delivery.feed.handOverRecord(delivery))
    this.#handedOver.clear()
    if (records.length > 0) await this.#options.log.publisher.store(records)
    await this.#handOverSettlements([...this.engine.feeds.values()])
  }

  async #settle(delivery: KafkaDelivery, outcome: DeliveryOutcome, events: readonly EncodedEvent[]): Promise<void> {
    if (!this.#has(delivery)) return
    // Events first, so that a reader who sees the settlement also sees them. After a crash in between, the delivery is repeated.
    if (events.length > 0) await this.#options.log.publisher.publish(events)
    // A process that was stopped for long must not touch what another member may have by now.
    if (!this.#membership.isValid) await this.#membership.confirmed()
    while (this.#moving) await this.#moving
    if (this.#isClosed || !this.#has(delivery)) return
    const concluding = this.#conclude(delivery, outcome)
    this.#concluding.add(concluding)
    await concluding.finally(() => this.#concluding.delete(concluding))
  }

  async #conclude(delivery: KafkaDelivery, outcome: DeliveryOutcome): Promise<void> {
    const { feed } = delivery
    const records = feed.recordsOf(delivery, outcome)
    if (records.length > 0) await this.#options.log.publisher.store(records)
    if (this.#handedOver.delete(delivery)) return this.engine.schedule()
    if (!this.engine.has(delivery)) return
    feed.settled(delivery, outcome)
    const stored = delivery.isRedelivery ? undefined : this.#committer.commit(feed)
    this.engine.release(delivery)
    await stored
  }

  #has(delivery: KafkaDelivery): boolean {
    return this.engine.has(delivery) || this.#handedOver.has(delivery)
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
    return Math.min(limit, this.#options.log.names.partitions)
  }

  #partitionsOf(units: readonly number[]): number[] {
    const { partitions } = this.#options.log.names
    const count = this.#countUnits(this.#limit)
    return Array.from({ length: partitions }, (_, partition) => partition).filter(partition =>
      units.includes(partition % count),
    )
  }

  async #assigned(units: readonly number[], limit: number | undefined): Promise<void> {
    const { definitions, log } = this.#options
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
    this.#checkHeldIn(0)
  }

  async #giveBack(units: readonly number[]): Promise<void> {
    for (const unit of units) this.#units.delete(unit)
    const feeds = this.#feedsOf(units)
    this.engine.stop(feeds)
    // What remains must fit into the share of the units that remain.
    const { inFlight } = this.engine.window
    await this.engine.until(() => inFlight.size - this.engine.inFlightOf(feeds).length <= this.#slots)
    while (this.#moving) await this.#moving
    this.#moving = this.#handOver(feeds).catch(() => {})
    await this.#moving
    this.#moving = undefined
    for (const feed of feeds) this.engine.remove(feed)
  }

  /** The deliveries of the feeds go on here, and the next owners know of them. */
  async #handOver(feeds: readonly PartitionFeed[]): Promise<void> {
    await Promise.allSettled(this.#concluding)
    const held = this.engine.inFlightOf(feeds)
    const { memberId } = this.#membership.identity
    const records = held.map(delivery => delivery.feed.handOverRecord(delivery, memberId))
    const isOver = () => this.#isClosed || feeds.every(({ isClosed }) => isClosed)
    if (records.length > 0) await untilDone(() => this.#options.log.publisher.store(records), isOver)
    for (const delivery of held.filter(each => this.engine.has(each))) {
      if (!delivery.isRedelivery) delivery.feed.settlement.settle(delivery.offset)
      delivery.isRedelivery = true
      this.#handedOver.add(delivery)
    }
    await this.#handOverSettlements(feeds)
  }

  async #handOverSettlements(feeds: readonly PartitionFeed[]): Promise<void> {
    const { log, subscription } = this.#options
    await this.#committer.handOver(feeds)
    const kept = feeds.map(({ partition, settlement }) =>
      settlementRecord(log.names, subscription.group, partition, settlement.stored()),
    )
    if (kept.length > 0) await log.publisher.store(kept)
  }

  #lost(units: readonly number[]): void {
    for (const unit of units) this.#units.delete(unit)
    for (const feed of this.#feedsOf(units)) this.engine.remove(feed)
    this.#handedOver.clear()
  }

  /** Delivers what members held that are gone by now, and looks for them again after a while. */
  #checkHeldIn(waitMs: number): void {
    clearTimeout(this.#checkTimer)
    if (this.#isClosed) return
    const check = async () => {
      await this.#checkHeld().catch(() => {})
      this.#checkHeldIn(this.#options.leaseMs / 2)
    }
    this.#checkTimer = setTimeout(() => void check(), waitMs)
  }

  async #checkHeld(): Promise<void> {
    if (this.engine.countHeld === 0) return
    const members = await this.#options.definitions.membersOf(this.#subscription.group)
    for (const feed of this.engine.feeds.values()) feed.takeBackFrom(member => !members.includes(member))
    this.engine.schedule()
  }

  #feedsOf(units: readonly number[]): PartitionFeed[] {
    return this.#partitionsOf(units).flatMap(partition => this.engine.feeds.get(partition) ?? [])
  }
}
