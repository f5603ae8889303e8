import {
  addOffsetsToTxnV3,
  addPartitionsToTxnV3,
  endTxnV3,
  initProducerIdV4,
  produceV9,
  txnOffsetCommitV3,
  type API,
} from '@platformatic/kafka'
import type { KafkaCluster, Receiver } from './cluster.ts'
import {
  newestTransaction,
  openTransaction,
  rememberedEnd,
  rememberEnd,
  type GroupProgress,
  type NewestTransaction,
} from './marker-repair.ts'
import { produce } from './produce.ts'
import type { OutRecord } from './records.ts'
import { KafkaRefusal } from './refusal.ts'
import { endTxnV5, produceV12, txnOffsetCommitV5 } from './requests.ts'

/** How far a group of the cluster is in partitions of a topic. */
export interface GroupOffsets {
  /** The consumer group of the cluster. */
  readonly group: string
  readonly topic: string
  readonly partitions: readonly { readonly partition: number; readonly offset: number; readonly metadata: string }[]
  /** The membership under which the partitions are owned; the broker refuses a stale one. */
  readonly member?: { readonly memberId: string; readonly generation: number }
}

/** What one transaction writes. */
export interface Transaction {
  readonly records: readonly OutRecord[]
  readonly offsets?: readonly GroupOffsets[]
}

/** How long the broker lets an open transaction hold back readers. */
const transactionTimeoutMs = 10_000

/**
 * One owner of a `transactional.id`, which writes one transaction after the other. Any failure ends it, because then somebody else may be
 * the owner: only a new assignment may start another one.
 */
export class TransactionalProducer {
  readonly id: string
  readonly #cluster: KafkaCluster
  readonly #coordinator: Receiver
  readonly #progress: GroupProgress | undefined
  readonly #sequences = new Map<string, number>()
  #isEnded = false
  #protocol: 1 | 2 = 2
  #producerId = -1n
  #epoch = -1

  /** `progress`: what its transactions may commit, apart from records. */
  constructor(cluster: KafkaCluster, id: string, progress?: GroupProgress) {
    this.id = id
    this.#progress = progress
    this.#cluster = cluster
    this.#coordinator = { coordinator: 'transaction', key: id }
  }

  /** It can write nothing any more. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Becomes the owner: fences the one before, and ends what it left open. `repairs`: also what the coordinator left open. */
  async init(repairs = true): Promise<void> {
    this.#protocol = (await this.#cluster.hasTransactionProtocol2()) ? 2 : 1
    const newest = repairs ? await newestTransaction(this.#cluster, this.id) : undefined
    if (newest?.isDecided) {
      const open = await this.#openOf(newest)
      if (open) await rememberEnd(this.#cluster, this.id, newest, open)
    }
    // -1/-1 asks for the next epoch, also if another process was the owner. The client's default of 0/0 claims to be epoch 0.
    const { producerId, producerEpoch } = await this.#ask(
      initProducerIdV4.api,
      [this.id, transactionTimeoutMs, -1n, -1],
      true,
    )
    this.#begin(producerId, producerEpoch)
    if (newest) await this.#completeMarkers(newest)
  }

  /**
   * Writes all or nothing; at least one record. Readers see it a little after it resolves.
   * @throws KafkaRefusal if nothing was written, E_LOG_UNAVAILABLE if that is unknown
   */
  async commit(transaction: Transaction): Promise<void> {
    if (this.#isEnded) throw new KafkaRefusal('PRODUCER_FENCED', undefined)
    await this.#write(transaction, true)
  }

  async #write({ records, offsets = [] }: Transaction, isCommitted: boolean): Promise<void> {
    try {
      if (this.#protocol === 1 && records.length > 0) await this.#addPartitions(records)
      await this.#produce(records)
      for (const each of offsets) await this.#commitOffsets(each)
      await this.#end(isCommitted)
    } catch (error) {
      this.#isEnded = true
      throw error
    }
  }

  async close(): Promise<void> {
    this.#isEnded = true
    await this.#cluster.closeLane(this.id)
  }

  /** See marker-repair.ts. */
  async #completeMarkers(newest: NewestTransaction): Promise<void> {
    const open = await this.#openOf(newest)
    if (!open) return
    const isCommitted = newest.isCommitted ?? (await rememberedEnd(this.#cluster, this.id, newest.producerId, open))
    const records = open.places.map(place => ({ ...place, key: '', value: null }))
    const offsets = open.progress ? [fillerOffsets(open.progress)] : []
    await this.#write({ records, offsets }, isCommitted)
  }

  #openOf({ producerId }: NewestTransaction) {
    return openTransaction(this.#cluster, this.id, producerId, this.#progress)
  }

  #begin(producerId: bigint, epoch: number): void {
    this.#producerId = producerId
    this.#epoch = epoch
    this.#sequences.clear()
  }

  async #produce(records: readonly OutRecord[]): Promise<void> {
    const producer = {
      transactionalId: this.id,
      producerId: this.#producerId,
      producerEpoch: this.#epoch,
      sequences: this.#sequences,
    }
    await produce(this.#cluster, this.#protocol === 1 ? produceV9.api : produceV12, records, producer, this.id)
  }

  async #addPartitions(records: readonly OutRecord[]): Promise<void> {
    const topics = [...Map.groupBy(records, ({ topic }) => topic)].map(([name, list]) => ({
      name,
      partitions: [...new Set(list.map(({ partition }) => partition))],
    }))
    const transaction = { transactionalId: this.id, producerId: this.#producerId, producerEpoch: this.#epoch }
    await this.#ask(addPartitionsToTxnV3.api, [[{ ...transaction, verifyOnly: false, topics }]], true)
  }

  async #commitOffsets({ group, topic, partitions, member }: GroupOffsets): Promise<void> {
    if (this.#protocol === 1)
      await this.#ask(addOffsetsToTxnV3.api, [this.id, this.#producerId, this.#epoch, group], true)
    const { memberId = '', generation = -1 } = member ?? {}
    const list = partitions.map(({ partition, offset, metadata }) => ({
      partitionIndex: partition,
      committedOffset: BigInt(offset),
      committedLeaderEpoch: -1,
      committedMetadata: metadata,
    }))
    await this.#cluster.ask(
      this.#protocol === 1 ? txnOffsetCommitV3.api : txnOffsetCommitV5,
      { coordinator: 'group', key: group },
      [this.id, group, this.#producerId, this.#epoch, generation, memberId, null, [{ name: topic, partitions: list }]],
      { lane: this.id, isRepeatable: true },
    )
  }

  async #end(isCommitted: boolean): Promise<void> {
    const args = [this.id, this.#producerId, this.#epoch, isCommitted] as [string, bigint, number, boolean]
    const end = async () => {
      if (this.#protocol === 1) return void (await this.#ask(endTxnV3.api, args, false))
      const next = await this.#ask(endTxnV5, args, false)
      this.#begin(next.producerId, next.producerEpoch)
    }
    try {
      await end()
    } catch (error) {
      if (error instanceof KafkaRefusal) throw error
      // The answer was lost. The coordinator recognises the same request; a refusal now says nothing about the first one.
      await end().catch((second: unknown) => {
        throw this.#cluster.unavailable(second)
      })
    }
  }

  #ask<A extends unknown[], R>(request: API<A, R>, args: A, isRepeatable: boolean): Promise<R> {
    return this.#cluster.ask(request, this.#coordinator, args, { lane: this.id, isRepeatable })
  }
}

/** What is open of the group keeps its value, because this is about another partition. */
const fillerOffsets = ({ group, filler: { topic, partition } }: GroupProgress): GroupOffsets => ({
  group,
  topic,
  partitions: [{ partition, offset: 0, metadata: '' }],
})
