import { setTimeout as sleep } from 'node:timers/promises'
import { describeProducersV0, listTransactionsV1 } from '@platformatic/kafka'
import { log as logger } from '../../bus/telemetry/log.ts'
import type { TopicPartition } from './cluster.ts'
import type { KafkaLog } from './kafka-log.ts'
import { newestTransaction } from './marker-repair.ts'
import { TransactionalProducer } from './transactional-producer.ts'

const intervalMs = 1_000
/** An owner that works moves the end of what is stable many times in this time. */
const defaultHeldMs = 3_000

/**
 * Finishes transactions without a marker (marker-repair.ts) that no new owner finishes: of a process that does not come back, or of one that
 * lives and waits for the partition itself. It takes over their ids, which a living owner notices as a fence, and then is assigned again.
 */
export class MarkerWatch {
  readonly #log: KafkaLog
  readonly #heldMs: number
  readonly #timer: NodeJS.Timeout
  #looking: Promise<void> | undefined
  #isClosed = false

  constructor(log: KafkaLog, heldMs = defaultHeldMs) {
    this.#log = log
    this.#heldMs = heldMs
    this.#timer = setInterval(() => {
      const held = log.follower.heldBack(heldMs)
      if (held.length === 0 || this.#looking) return
      // What fails now is tried again while the partition is held back.
      this.#looking = this.#finish(held)
        .catch(() => {})
        .finally(() => (this.#looking = undefined))
    }, intervalMs)
    this.#timer.unref()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#looking
  }

  async #finish(held: readonly TopicPartition[]): Promise<void> {
    const producers = await this.#openProducers(held)
    if (producers.length === 0) return
    // Several processes see the same thing.
    await sleep(Math.random() * intervalMs)
    for (const id of await this.#idsOf(producers)) {
      if (this.#isClosed) return
      const newest = await newestTransaction(this.#log.cluster, id)
      const isStill = this.#log.follower.heldBack(this.#heldMs).length > 0
      if (!newest?.isOver || !isStill) continue
      logger.warn?.({ transactional_id: id }, 'a transaction without a marker holds back readers; its id is taken over')
      await this.#takeOver(id)
    }
  }

  async #takeOver(id: string): Promise<void> {
    const { cluster, names } = this.#log
    const end = id.lastIndexOf('.')
    const producer = new TransactionalProducer(cluster, id, {
      group: id.slice(0, end),
      topic: names.events,
      partitions: [Number(id.slice(end + 1))],
      filler: { topic: names.signals, partition: 0 },
    })
    try {
      await producer.init()
    } finally {
      await producer.close()
    }
  }

  async #openProducers(held: readonly TopicPartition[]): Promise<bigint[]> {
    const found = new Set<bigint>()
    for (const { topic, partition } of held) {
      const topics = [{ name: topic, partitionIndexes: [partition] }]
      const { topics: answers } = await this.#log.cluster.ask(
        describeProducersV0.api,
        { leader: { topic, partition } },
        [topics],
        { isRepeatable: true },
      )
      for (const { activeProducers } of answers.flatMap(({ partitions }) => partitions))
        for (const { producerId, currentTxnStartOffset: start } of activeProducers)
          if (start >= 0n) found.add(producerId)
    }
    return [...found]
  }

  /** Each broker knows the ids that it coordinates. */
  async #idsOf(producers: readonly bigint[]): Promise<string[]> {
    const { cluster, names } = this.#log
    const answers = await Promise.all(
      (await cluster.nodes()).map(node =>
        cluster.ask(listTransactionsV1.api, { node }, [[], [...producers], -1n, null], { isRepeatable: true }),
      ),
    )
    return answers
      .flatMap(({ transactionStates }) => transactionStates.map(({ transactionalId }) => transactionalId))
      .filter(id => id.startsWith(`${names.log}.`))
  }
}
