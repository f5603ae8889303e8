import { setTimeout as sleep } from 'node:timers/promises'
import { NumericMap, type API, type MessageRecord, type produceV9 } from '@platformatic/kafka'
import { TidingsError } from '../../errors.ts'
import type { KafkaCluster } from './cluster.ts'
import { messageOf, topicPartition, type OutRecord } from './records.ts'
import { isTransientRefusal, KafkaRefusal } from './refusal.ts'
import type { ProduceAnswer } from './requests.ts'

type ProduceRequest = API<Parameters<typeof produceV9.createRequest>, boolean | ProduceAnswer>

/** Who writes: the broker recognises a repeated batch by producer, epoch and sequence. */
export interface ProducerState {
  readonly transactionalId?: string
  readonly producerId: bigint
  readonly producerEpoch: number
  /** The next sequence number of each partition. */
  readonly sequences: Map<string, number>
}

const maxSequence = 2 ** 31

/**
 * Writes records, one batch for each partition, and follows partitions to new leaders. A batch is stored whole, and once however often it is
 * sent. Returns the Kafka offset of the first record of each partition. Not to be called twice at once for a producer.
 * @throws KafkaRefusal, E_LOG_UNAVAILABLE, E_LOG_UNANSWERED if some of it may be stored
 */
export async function produce(
  cluster: KafkaCluster,
  request: ProduceRequest,
  records: readonly OutRecord[],
  producer: ProducerState,
  lane: string,
): Promise<Map<string, number>> {
  const batches = Map.groupBy(records.map(messageOf), ({ topic, partition }) => topicPartition(topic, partition!))
  const bases = new Map<string, number>()
  const until = performance.now() + cluster.timeoutMs
  let isUnsure = false
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    const left = [...batches].filter(([key]) => !bases.has(key))
    const byLeader = new Map<number, MessageRecord[]>()
    const leaders = left.length === 0 ? new Map<string, number>() : await cluster.leadersByPartition()
    for (const [key, messages] of left) {
      const leader = leaders.get(key) ?? -1
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), ...messages])
    }
    const results = await Promise.allSettled(
      [...byLeader].map(([leader, messages]) => send(cluster, request, leader, messages, producer, lane, bases)),
    )
    const failures = results.flatMap(result => (result.status === 'rejected' ? [result.reason as unknown] : []))
    if (failures.length === 0) break
    const [error] = failures
    if (error instanceof KafkaRefusal && !isTransientRefusal(error.code)) throw error
    isUnsure ||= failures.some(mayBeStored)
    if (performance.now() > until) throw isUnsure || bases.size > 0 ? cluster.unanswered(error) : error
    await sleep(pauseMs)
  }
  for (const [key, { length }] of batches)
    producer.sequences.set(key, ((producer.sequences.get(key) ?? 0) + length) % maxSequence)
  return bases
}

/** Whether the leader may have stored the batch that failed. */
const mayBeStored = (error: unknown) =>
  error instanceof KafkaRefusal
    ? storedByLeader.has(error.code)
    : error instanceof TidingsError && error.code === 'E_LOG_UNANSWERED'

const storedByLeader = new Set(['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'REQUEST_TIMED_OUT'])

async function send(
  cluster: KafkaCluster,
  request: ProduceRequest,
  leader: number,
  messages: MessageRecord[],
  producer: ProducerState,
  lane: string,
  bases: Map<string, number>,
): Promise<void> {
  const sequences = new NumericMap()
  for (const { topic, partition } of messages)
    sequences.set(`${topic}:${partition}`, producer.sequences.get(topicPartition(topic, partition!)) ?? 0)
  const { transactionalId, producerId, producerEpoch } = producer
  const options = { ...(transactionalId !== undefined && { transactionalId }), producerId, producerEpoch, sequences }
  const answer = await cluster.ask(request, { node: leader }, [-1, cluster.timeoutMs, messages, options], {
    lane,
    timeoutMs: 0,
  })
  for (const { name, partitionResponses } of (answer as ProduceAnswer).responses)
    for (const { index, baseOffset } of partitionResponses) bases.set(topicPartition(name, index), Number(baseOffset))
}
