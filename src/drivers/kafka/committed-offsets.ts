import { offsetCommitV8, offsetFetchV8 } from '@platformatic/kafka'
import type { GroupDefinition } from './group-definitions.ts'
import type { KafkaLog } from './kafka-log.ts'
import type { MemberIdentity } from './membership.ts'
import type { LogNames } from './names.ts'
import { stateRecord } from './records.ts'
import type { StoredSettlement } from './settlement.ts'

/*
 * Brokers forget the offsets of a group that has had no member for a while (`offsets.retention.minutes`, a week by default). So an owner that
 * gives a partition back also keeps them in the state: `settled/GROUP/PARTITION`.
 */

const settledKey = (group: string, partition: number) => `settled/${encodeURIComponent(group)}/${partition}`

/** Keeps what a group has settled of a partition beyond the memory of the broker. */
export const settlementRecord = (names: LogNames, group: string, partition: number, settlement: StoredSettlement) =>
  stateRecord(names, partition, settledKey(group, partition), JSON.stringify(settlement))

/** What a group has settled of these partitions, as the broker stores it. Waits for transactions that change it. */
export async function readSettlements(
  { cluster, names, index }: KafkaLog,
  { group, starts }: GroupDefinition,
  partitions: readonly number[],
): Promise<Map<number, StoredSettlement>> {
  const key = names.kafkaGroup(group)
  const topics = [{ name: names.events, partitionIndexes: [...partitions] }]
  const answer = await cluster.ask(
    offsetFetchV8.api,
    { coordinator: 'group', key },
    [[{ groupId: key, topics }] as Parameters<typeof offsetFetchV8.createRequest>[0], true],
    { isRepeatable: true },
  )
  const found = answer.groups.flatMap(({ topics }) => topics.flatMap(({ partitions }) => partitions))
  return new Map(
    partitions.map(partition => {
      const stored = found.find(({ partitionIndex }) => partitionIndex === partition)
      if (stored && stored.committedOffset >= 0n)
        return [partition, { offset: Number(stored.committedOffset), metadata: stored.metadata ?? '' }]
      const kept = index.state(settledKey(group, partition))
      return [
        partition,
        kept ? (JSON.parse(kept.value) as StoredSettlement) : { offset: starts[partition]!, metadata: '' },
      ]
    }),
  )
}

/** Stores what a member has settled. @throws KafkaRefusal if the membership is over, or the members are sharing the partitions again */
export async function commitSettlements(
  { cluster, names }: KafkaLog,
  group: string,
  { memberId, generation }: MemberIdentity,
  settlements: ReadonlyMap<number, StoredSettlement>,
): Promise<void> {
  const key = names.kafkaGroup(group)
  const partitions = Array.from(settlements, ([partition, { offset, metadata }]) => ({
    partitionIndex: partition,
    committedOffset: BigInt(offset),
    committedLeaderEpoch: -1,
    committedMetadata: metadata,
  }))
  await cluster.ask(
    offsetCommitV8.api,
    { coordinator: 'group', key },
    [key, generation, memberId, null, [{ name: names.events, partitions }]],
    { lane: 'settle', isRepeatable: true },
  )
}
