import type {
  Commit,
  CommitResult,
  Consumer,
  ConsumerGroup,
  DeferredDelivery,
  GroupState,
  Subscription,
} from '../../bus/driver.ts'
import type { LogHolder } from '../shared/retention.ts'
import { readSettlements } from './committed-offsets.ts'
import { DeferredEntries } from './deferred-entries.ts'
import { GroupDefinitions, type GroupDefinition } from './group-definitions.ts'
import type { KafkaLog } from './kafka-log.ts'
import { MatchCounter } from './match-counter.ts'
import { PartitionSettlement } from './settlement.ts'
import { KafkaSharedMember, type KafkaMember } from './shared-member.ts'
import { KafkaShardedMember } from './sharded-member.ts'

const defaultLeaseMs = 10_000
/** The lag is exact up to this number of events. */
const maxCounted = 200_000

interface PartitionState {
  readonly lag: number
  readonly inFlight: number
}

interface GroupContext {
  readonly log: KafkaLog
  readonly definitions: GroupDefinitions
  readonly leaseMs: number
}

/** Consumer groups and deferred deliveries of a log, as this process takes part in them. */
export class KafkaGroups {
  readonly #context: GroupContext
  readonly #deferred: DeferredEntries
  readonly #shared = new Set<KafkaSharedMember>()
  readonly #sharded = new Map<KafkaShardedMember, string>()
  readonly #counters = new Map<string, MatchCounter>()

  constructor(log: KafkaLog) {
    this.#context = {
      log,
      definitions: new GroupDefinitions(log),
      leaseMs: log.cluster.address.leaseMs ?? defaultLeaseMs,
    }
    this.#deferred = new DeferredEntries(log)
  }

  async subscribe(subscription: Subscription): Promise<Consumer> {
    const { definitions } = this.#context
    const { group, filter } = subscription
    const definition = await definitions.ensure(subscription)
    await definitions.freshenFilters(group)
    await definitions.addFilter(group, filter, !(await this.hasMembers(group)))
    const member = this.#create(definition, subscription)
    try {
      await member.start()
    } catch (error) {
      await member.close()
      throw this.#context.log.cluster.unavailable(error)
    }
    return member
  }

  async createGroup(group: ConsumerGroup): Promise<void> {
    await this.#context.definitions.ensure(group)
  }

  async listGroups(): Promise<GroupState[]> {
    const { log, definitions } = this.#context
    await log.follower.freshen()
    const unsettled = this.#deferred.unsettled()
    return Promise.all(
      definitions.list().map(async definition => {
        const { group, mode } = definition
        const states = await this.#statesOf(definition)
        const deferred = unsettled.get(group) ?? []
        const held = deferred.filter(state => state === 'held').length
        const sum = (of: (state: PartitionState) => number) => states.reduce((total, state) => total + of(state), 0)
        return {
          group,
          mode,
          lag: sum(({ lag }) => lag) + deferred.length,
          inFlight: sum(({ inFlight }) => inFlight) + held,
        }
      }),
    )
  }

  async hasMembers(group: string): Promise<boolean> {
    return (await this.#context.definitions.membersOf(group)).length > 0
  }

  /** The groups that have members. */
  async busy(): Promise<string[]> {
    const { log, definitions } = this.#context
    await log.follower.freshen()
    const groups = definitions.list().map(({ group }) => group)
    const members = await Promise.all(groups.map(group => this.hasMembers(group)))
    return groups.filter((_, i) => members[i])
  }

  listDeferred(): AsyncIterable<DeferredDelivery> {
    return this.#deferred.list()
  }

  redeliver(which: { id: string } | { key: string }): Promise<number> {
    return this.#deferred.redeliver(which)
  }

  discard(id: string): Promise<boolean> {
    return this.#deferred.discard(id)
  }

  /** By the member of this process that owns the shard of the task; `conflict` if there is none. */
  async commit(commit: Commit): Promise<CommitResult> {
    const partition = this.#context.log.names.partitionOf(commit.turn.event.correlationid)
    for (const [member, group] of this.#sharded) {
      if (group !== commit.group) continue
      const result = await member.commit(partition, commit)
      if (result === 'accepted') return result
    }
    return 'conflict'
  }

  /** The groups that need a partition, and from where. */
  async holders(partition: number): Promise<LogHolder[]> {
    const { log, definitions } = this.#context
    return Promise.all(
      definitions.list().map(async definition => {
        const [stored] = (await readSettlements(log, definition, [partition])).values()
        const { mark } = this.#localSettlement(definition.group, partition) ?? new PartitionSettlement(stored!)
        const offset = this.#counterOf(definition.group, partition).firstAfter(mark)
        return { offset, heldBy: `group ${definition.group}` }
      }),
    )
  }

  /** The log is empty again: the groups of the members of this process are created, and the members join them. */
  async recreate(): Promise<void> {
    await Promise.all([...this.#shared, ...this.#sharded.keys()].map(member => member.recreate()))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#shared, ...this.#sharded.keys()].map(member => member.close()))
  }

  #create(definition: GroupDefinition, subscription: Subscription): KafkaMember {
    const options = { ...this.#context, definition, subscription }
    if (definition.mode === 'shared') {
      const member = new KafkaSharedMember({ ...options, onClosed: () => this.#shared.delete(member) })
      this.#shared.add(member)
      return member
    }
    const member = new KafkaShardedMember({ ...options, onClosed: () => this.#sharded.delete(member) })
    this.#sharded.set(member, subscription.group)
    return member
  }

  async #statesOf(definition: GroupDefinition): Promise<PartitionState[]> {
    const { group } = definition
    const partitions = Array.from({ length: this.#context.log.names.partitions }, (_, partition) => partition)
    const isLocal = (partition: number) => this.#localSettlement(group, partition) !== undefined
    const remote = partitions.filter(partition => !isLocal(partition))
    const stored = remote.length > 0 ? await readSettlements(this.#context.log, definition, remote) : new Map()
    const hasMembers = remote.length > 0 && (await this.hasMembers(group))
    return partitions.map(partition => {
      const local = this.#localSettlement(group, partition)
      if (local) {
        const held = this.#members(group)
          .flatMap(({ engine }) => [...engine.window.inFlight.keys()])
          .filter(({ feed }) => feed.settlement === local)
        // The broker has not answered yet.
        const settling = held.filter(({ offset, isRedelivery }) => !isRedelivery && local.isSettled(offset)).length
        return { lag: this.#count(definition, partition, local) + settling, inFlight: held.length }
      }
      const settlement = new PartitionSettlement(stored.get(partition) ?? { offset: 0, metadata: '' })
      const inFlight = hasMembers ? this.#count(definition, partition, settlement, settlement.mayBeHeldTo) : 0
      return { lag: this.#count(definition, partition, settlement), inFlight }
    })
  }

  #members(group: string): KafkaMember[] {
    const all: KafkaMember[] = [...this.#shared, ...this.#sharded.keys()]
    return all.filter(({ engine }) => engine.window.subscription.group === group)
  }

  #localSettlement(group: string, partition: number): PartitionSettlement | undefined {
    for (const { engine } of this.#members(group)) {
      const feed = engine.feeds.get(partition)
      if (feed) return feed.settlement
    }
    return undefined
  }

  /** What matches and is not settled, up to an offset. */
  #count({ group }: GroupDefinition, partition: number, settlement: PartitionSettlement, until = Infinity): number {
    const end = Math.min(until, this.#context.log.index.covered('events', partition))
    const { mark } = settlement
    if (end <= mark) return 0
    if (end - mark > maxCounted) return end - mark
    return this.#counterOf(group, partition, until).count(mark, end) - settlement.countSettled(end)
  }

  /** One for what is open, and one for what may be held. */
  #counterOf(group: string, partition: number, until = Infinity): MatchCounter {
    const { log, definitions } = this.#context
    const key = `${partition} ${until === Infinity} ${group}`
    const filter = definitions.filterOf(group)
    const known = this.#counters.get(key)
    if (known && JSON.stringify(known.filter) === JSON.stringify(filter)) return known
    const counter = new MatchCounter(log.index, partition, filter)
    this.#counters.set(key, counter)
    return counter
  }
}
