import { hash } from 'node:crypto'
import { describeGroupsV5 } from '@platformatic/kafka'
import type { ConsumerGroup } from '../../bus/driver.ts'
import type { Filter } from '../../pattern.ts'
import type { KafkaLog } from './kafka-log.ts'
import { stateRecord } from './records.ts'

/** A group as it was created. Members of a sharded group own partitions, which are its shards. */
export interface GroupDefinition {
  readonly group: string
  readonly mode: 'shared' | 'sharded'
  /** Of each partition: events up to this offset are not for the group. */
  readonly starts: readonly number[]
}

/*
 * The groups of a log, as records of its state:
 *
 *     start/GROUP              mode and start; the first record stays
 *     filter/GROUP/DIGEST      a filter of members; the group gets what any of them matches
 */
const startKey = (group: string) => `start/${encodeURIComponent(group)}`
const filtersKey = (group: string) => `filter/${encodeURIComponent(group)}/`
const filterKey = (group: string, filter: Filter) =>
  `${filtersKey(group)}${hash('sha256', JSON.stringify(filter), 'hex').slice(0, 16)}`

export class GroupDefinitions {
  readonly #log: KafkaLog

  constructor(log: KafkaLog) {
    this.#log = log
  }

  get(group: string): GroupDefinition | undefined {
    const row = this.#log.index.state(startKey(group))
    return row && { group, ...(JSON.parse(row.value) as Omit<GroupDefinition, 'group'>) }
  }

  /** In the order of their names. */
  list(): GroupDefinition[] {
    return this.#log.index
      .statesOf('start/')
      .map(({ key }) => decodeURIComponent(key.slice('start/'.length)))
      .toSorted((a, b) => (a < b ? -1 : 1))
      .map(group => this.get(group)!)
  }

  /** Creates the group unless it exists. */
  async ensure({ group, mode, filter, from }: ConsumerGroup): Promise<GroupDefinition> {
    const known = this.get(group)
    if (known) return known
    const { index, follower, names } = this.#log
    await follower.freshen()
    const starts = Array.from({ length: names.partitions }, (_, partition) =>
      from === 'now' ? index.covered('events', partition) : 0,
    )
    await this.#store(group, [
      [startKey(group), JSON.stringify({ mode, starts })],
      [filterKey(group, filter), JSON.stringify(filter)],
    ])
    return this.get(group)!
  }

  filterOf(group: string): Filter {
    return this.#log.index.statesOf(filtersKey(group)).flatMap(({ value }) => JSON.parse(value) as Filter)
  }

  isFilterOf(group: string, key: string): boolean {
    return key.startsWith(filtersKey(group))
  }

  /** The filter of a member is one of the group's. `isAlone`: those of earlier members are not any more. */
  async addFilter(group: string, filter: Filter, isAlone = false): Promise<void> {
    const { index } = this.#log
    const own = filterKey(group, filter)
    const old = isAlone ? index.statesOf(filtersKey(group)).filter(({ key }) => key !== own) : []
    const added = index.state(own) ? [] : [[own, JSON.stringify(filter)] as const]
    const changes = [...added, ...old.map(({ key }) => [key, null] as const)]
    if (changes.length > 0) await this.#store(group, changes)
  }

  /** Waits until this process knows the filters that were written before the call. */
  async freshenFilters(group: string): Promise<void> {
    await this.#log.follower.freshen([this.#partitionOf(group)])
  }

  /** The members of the group in any process, alive as far as the broker knows. */
  async membersOf(group: string): Promise<string[]> {
    const { cluster, names } = this.#log
    const key = names.kafkaGroup(group)
    const { groups } = await cluster.ask(describeGroupsV5.api, { coordinator: 'group', key }, [[key], false], {
      isRepeatable: true,
    })
    return groups.flatMap(({ members }) => members.map(({ memberId }) => memberId))
  }

  async #store(group: string, changes: readonly (readonly [key: string, value: string | null])[]): Promise<void> {
    const { names, publisher, follower } = this.#log
    const partition = this.#partitionOf(group)
    await publisher.store(changes.map(([key, value]) => stateRecord(names, partition, key, value)))
    await follower.freshen([partition])
  }

  #partitionOf(group: string): number {
    return this.#log.names.partitionOf(group)
  }
}
