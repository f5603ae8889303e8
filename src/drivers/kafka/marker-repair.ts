import { setTimeout as sleep } from 'node:timers/promises'
import { describeProducersV0, describeTransactionsV0, offsetCommitV8, offsetFetchV8 } from '@platformatic/kafka'
import { TidingsError } from '../../errors.ts'
import { shownKafkaAddress } from './address.ts'
import type { KafkaCluster, TopicPartition } from './cluster.ts'
import { isTransientRefusal, KafkaRefusal } from './refusal.ts'

/*
 * A coordinator of Kafka 4.3 and 4.4 may end a transaction without telling its partitions: decision 0043. It does so if a partition
 * has no leader just then, so after a crash of all brokers that had it. Readers stop there, and the coordinator considers the transaction done.
 *
 * What is open in a partition is ended by the next transaction of the same producer that writes there. So a new owner asks how the newest
 * transaction ended, before it takes over and thereby makes the coordinator forget it. Then it writes a record without a value to each
 * partition that still waits, in a transaction that ends in the same way.
 */

/** The partitions of a topic whose progress a producer commits for a group. */
export interface GroupProgress {
  readonly group: string
  readonly topic: string
  readonly partitions: readonly number[]
  /** A partition of another topic, whose progress means nothing. */
  readonly filler: TopicPartition
}

/** How the coordinator ended the newest transaction of an id. */
export interface NewestTransaction {
  readonly producerId: bigint
  /** It will not end in another way any more. */
  readonly isDecided: boolean
  /** It has told all partitions, as far as it knows. */
  readonly isOver: boolean
  /** Undefined if the id was taken over since, which makes the coordinator forget it. */
  readonly isCommitted: boolean | undefined
}

/** What waits for a marker. */
export interface OpenTransaction {
  readonly places: readonly TopicPartition[]
  readonly progress: GroupProgress | undefined
}

const pauseMs = 50
const committed = new Set(['PrepareCommit', 'CompleteCommit'])
const aborted = new Set(['Ongoing', 'PrepareAbort', 'PrepareEpochFence', 'CompleteAbort'])

/** Undefined if the id is new. */
export async function newestTransaction(cluster: KafkaCluster, id: string): Promise<NewestTransaction | undefined> {
  const receiver = { coordinator: 'transaction', key: id } as const
  try {
    const answer = await cluster.ask(describeTransactionsV0.api, receiver, [[id]], { lane: id, isRepeatable: true })
    const { producerId, transactionState: state } = answer.transactionStates[0]!
    const isCommitted = committed.has(state) || (aborted.has(state) ? false : undefined)
    const isDecided = state !== 'Ongoing' && isCommitted !== undefined
    return { producerId, isCommitted, isDecided, isOver: state.startsWith('Complete') }
  } catch (error) {
    if (error instanceof KafkaRefusal && error.code === 'TRANSACTIONAL_ID_NOT_FOUND') return undefined
    throw error
  }
}

/** What of a producer is open; undefined if nothing is. */
export async function openTransaction(
  cluster: KafkaCluster,
  id: string,
  producerId: bigint,
  progress: GroupProgress | undefined,
): Promise<OpenTransaction | undefined> {
  const [places, hasOffsets] = await Promise.all([
    openPartitions(cluster, producerId, id),
    progress && hasOpenOffsets(cluster, progress),
  ])
  return places.length > 0 || hasOffsets ? { places, progress: hasOffsets ? progress : undefined } : undefined
}

/** The partitions of the log in which a transaction of the producer is open. */
export async function openPartitions(
  cluster: KafkaCluster,
  producerId: bigint,
  lane: string,
): Promise<TopicPartition[]> {
  const leaders = await cluster.leaders()
  const found = await Promise.all(
    [...leaders.values()].map(async led => {
      const topics = [...Map.groupBy(led, ({ topic }) => topic)].map(([name, list]) => ({
        name,
        partitionIndexes: list.map(({ partition }) => partition),
      }))
      const options = { lane, isRepeatable: true }
      const answer = await cluster.ask(describeProducersV0.api, { leader: led[0]! }, [topics], options)
      return answer.topics.flatMap(({ name, partitions }) =>
        partitions
          .filter(({ activeProducers }) =>
            activeProducers.some(each => each.producerId === producerId && each.currentTxnStartOffset >= 0n),
          )
          .map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
      )
    }),
  )
  return found.flat()
}

/** Whether a transaction that changes the progress of the group is open. */
async function hasOpenOffsets(cluster: KafkaCluster, { group, topic, partitions }: GroupProgress): Promise<boolean> {
  for (const until = performance.now() + cluster.timeoutMs; ; await sleep(pauseMs))
    try {
      // Without a time, because `ask` would wait for the end of the transaction.
      await fetchOffsets(
        cluster,
        group,
        partitions.map(partition => ({ topic, partition })),
        0,
      )
      return false
    } catch (error) {
      const code = error instanceof KafkaRefusal ? error.code : undefined
      if (code === 'UNSTABLE_OFFSET_COMMIT') return true
      if ((code !== undefined && !isTransientRefusal(code)) || performance.now() > until) throw error
    }
}

/** For an owner that dies between the take-over and the repair: the next one cannot ask the coordinator any more. */
export async function rememberEnd(
  cluster: KafkaCluster,
  id: string,
  { producerId, isCommitted }: NewestTransaction,
  { places, progress }: OpenTransaction,
): Promise<void> {
  const { topic, partition } = places[0] ?? progress!.filler
  const metadata = `${producerId} ${isCommitted}`
  const offset = {
    partitionIndex: partition,
    committedOffset: 0n,
    committedLeaderEpoch: -1,
    committedMetadata: metadata,
  }
  const key = endGroup(id)
  await cluster.ask(
    offsetCommitV8.api,
    { coordinator: 'group', key },
    [key, -1, '', null, [{ name: topic, partitions: [offset] }]],
    { lane: id, isRepeatable: true },
  )
}

/** @throws E_LOG_UNAVAILABLE if nobody knows, because two owners died in the middle of it */
export async function rememberedEnd(
  cluster: KafkaCluster,
  id: string,
  producerId: bigint,
  { places, progress }: OpenTransaction,
): Promise<boolean> {
  const all = progress ? [...places, progress.filler] : places
  const metadata = await fetchOffsets(cluster, endGroup(id), all, cluster.timeoutMs)
  const found = metadata.map(text => text.split(' ')).find(([producer]) => producer === String(producerId))
  if (found) return found[1] === 'true'
  const { topic, partition } = all[0]!
  throw new TidingsError(
    'E_LOG_UNAVAILABLE',
    `${shownKafkaAddress(cluster.address)}: the coordinator of "${id}" has forgotten how a transaction of producer ${producerId} ended, which is open in ${topic}/${partition}. Look there whether its records must count; then end it with kafka-transactions.sh abort, which drops them`,
    { retryable: true },
  )
}

const endGroup = (id: string) => `${id}.end`

async function fetchOffsets(
  cluster: KafkaCluster,
  group: string,
  places: readonly TopicPartition[],
  timeoutMs: number,
): Promise<string[]> {
  const topics = [...Map.groupBy(places, ({ topic }) => topic)].map(([name, list]) => ({
    name,
    partitionIndexes: list.map(({ partition }) => partition),
  }))
  const request = [{ groupId: group, topics }] as Parameters<typeof offsetFetchV8.createRequest>[0]
  const receiver = { coordinator: 'group', key: group } as const
  const { groups } = await cluster.ask(offsetFetchV8.api, receiver, [request, true], { timeoutMs, isRepeatable: true })
  return groups.flatMap(({ topics: found }) =>
    found.flatMap(({ partitions }) => partitions.map(({ metadata }) => metadata ?? '')),
  )
}
