import type { CommitResult, Commit, DeliveryOutcome, EncodedEvent, Subscription } from '../../bus/driver.ts'
import { WakeSchedule } from '../shared/wake-schedule.ts'
import { DeliveryEngine } from './delivery-engine.ts'
import type { GroupDefinition } from './group-definitions.ts'
import type { KafkaDelivery } from './kafka-delivery.ts'
import { GroupMembership } from './membership.ts'
import { OwnedPartition } from './owned-partition.ts'
import type { KafkaMember, KafkaMemberOptions } from './shared-member.ts'
import { untilDone } from './until-done.ts'

/** A member of a sharded group: owns an even share of the partitions. A partition is a shard. */
export class KafkaShardedMember implements KafkaMember {
  readonly engine: DeliveryEngine
  readonly #options: KafkaMemberOptions
  #definition: GroupDefinition
  readonly #subscription: Subscription
  readonly #membership: GroupMembership
  readonly #wakes: WakeSchedule
  readonly #owned = new Map<number, OwnedPartition>()
  #isClosed = false

  constructor(options: KafkaMemberOptions) {
    const { log, definitions, leaseMs, definition, subscription } = options
    this.#options = options
    this.#definition = definition
    this.#subscription = subscription
    this.#wakes = new WakeSchedule((task, due) => subscription.onWake?.(task, due), log.now)
    this.#membership = new GroupMembership({
      cluster: log.cluster,
      group: log.names.kafkaGroup(subscription.group),
      topic: log.names.events,
      leaseMs,
      countUnits: () => log.names.partitions,
      onJoining: () => this.engine.freeze(),
      onAssigned: partitions => this.#assigned(partitions),
      onRevoked: partitions => this.#giveBack(partitions),
      onLost: partitions => this.#lose(partitions),
    })
    this.engine = new DeliveryEngine({
      log,
      definitions,
      subscription,
      settle: (delivery, outcome, events) => this.#settle(delivery, outcome, events),
      onHandOut: ({ partition }) => this.#owned.get(partition)?.handedOut(),
      isValid: () => this.#membership.isValid,
    })
  }

  start(): Promise<void> {
    return this.#membership.start()
  }

  async recreate(): Promise<void> {
    this.#definition = await this.#options.definitions.ensure(this.#subscription)
    this.#membership.restart()
  }

  /** `conflict` if this member does not own the partition. */
  commit(partition: number, commit: Commit): Promise<CommitResult> {
    return this.#owned.get(partition)?.commit(commit) ?? Promise.resolve('conflict')
  }

  pause(): void {
    this.engine.pause()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.engine.pause()
    this.#options.onClosed()
    this.#wakes.close()
    const owned = [...this.#owned.values()]
    this.#owned.clear()
    this.engine.close()
    await Promise.all(owned.map(each => each.handOver()))
    await this.#membership.close()
  }

  async #settle(delivery: KafkaDelivery, outcome: DeliveryOutcome, events: readonly EncodedEvent[]): Promise<void> {
    if (!this.engine.has(delivery)) return
    // Events first, so that a reader who sees the settlement also sees them. After a crash in between, the delivery is repeated.
    if (events.length > 0) await this.#options.log.publisher.publish(events)
    if (this.engine.has(delivery)) await this.#owned.get(delivery.feed.partition)?.settle(delivery, outcome)
  }

  async #assigned(partitions: readonly number[]): Promise<void> {
    await Promise.all(partitions.map(partition => this.#acquire(partition)))
    const { definitions } = this.#options
    const { group, filter } = this.#subscription
    await untilDone(
      async () => {
        await definitions.freshenFilters(group)
        await definitions.addFilter(group, filter)
      },
      () => this.#isClosed,
    )
    this.engine.thaw()
  }

  #acquire(partition: number): Promise<void> {
    const isOver = () => this.#isClosed || !this.#membership.owns(partition) || this.#owned.has(partition)
    return untilDone(async () => {
      const owned = await OwnedPartition.acquire({
        log: this.#options.log,
        definition: this.#definition,
        partition,
        engine: this.engine,
        onWake: (source, task, state) => this.#wakes.changed(source, task, state),
        onEnded: source => this.#ended(source),
      })
      if (!isOver()) return void this.#owned.set(partition, owned)
      this.engine.remove(owned.feed)
      await owned.lose()
    }, isOver)
  }

  /** Another process took it over, or a result is unknown. If it is still assigned to this member, it is acquired again. */
  #ended(owned: OwnedPartition): void {
    const { partition } = owned
    if (this.#owned.get(partition) !== owned) return
    this.#drop(owned)
    // Only a member that the broker knows may fence: the other process may be the owner.
    void this.#membership.confirmed().then(() => this.#acquire(partition))
  }

  async #giveBack(partitions: readonly number[]): Promise<void> {
    await Promise.all(
      partitions.map(async partition => {
        const owned = this.#owned.get(partition)
        if (!owned) return
        this.#owned.delete(partition)
        this.engine.remove(owned.feed)
        this.#subscription.onLost?.(partition)
        await owned.handOver()
      }),
    )
  }

  #lose(partitions: readonly number[]): void {
    for (const partition of partitions) {
      const owned = this.#owned.get(partition)
      if (owned) this.#drop(owned)
    }
  }

  #drop(owned: OwnedPartition): void {
    this.#owned.delete(owned.partition)
    this.engine.remove(owned.feed)
    this.#subscription.onLost?.(owned.partition)
    void owned.lose()
  }
}
