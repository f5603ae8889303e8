import { initProducerIdV4, produceV9 } from '@platformatic/kafka'
import type { AppendResult, EncodedEvent, Position } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { shownKafkaAddress } from './address.ts'
import type { KafkaCluster } from './cluster.ts'
import type { LogFollower } from './follower.ts'
import type { LocalIndex } from './local-index.ts'
import type { LogNames } from './names.ts'
import { produce, type ProducerState } from './produce.ts'
import { eventRecord, messageOf, sizeOf, topicPartition, type OutRecord } from './records.ts'
import { KafkaRefusal } from './refusal.ts'

/** One event of a publish. */
interface OutEvent {
  readonly id: string
  readonly record: OutRecord
  readonly size: number
}

interface WaitingPublish {
  readonly events: readonly OutEvent[]
  readonly resolve: (positions: Position[]) => void
  readonly reject: (error: unknown) => void
}

/** What the publisher works with. */
export interface PublisherContext {
  readonly cluster: KafkaCluster
  readonly names: LogNames
  readonly index: LocalIndex
  readonly follower: LogFollower
  /** The largest batch of a partition that the broker takes (`max.message.bytes` of the topic). */
  readonly maxBatchBytes: number
}

const maxRequestBytes = 16 << 20
const lane = 'publish'

/**
 * Publishes events with an idempotent producer, without a transaction: what one call writes to a partition is one batch, which is stored
 * whole. Calls that wait share the next request. A repeated id is stored again, and no reader sees it, because the index takes the first
 * one; so a request whose answer was lost is sent again.
 */
export class KafkaPublisher {
  readonly #context: PublisherContext
  readonly #waiting: WaitingPublish[] = []
  #producer: Promise<ProducerState> | undefined
  #isSending = false

  constructor(context: PublisherContext) {
    this.#context = context
  }

  async publish(entries: readonly EncodedEvent[]): Promise<AppendResult[]> {
    // Encode first: it must fail before anything is stored.
    const events = entries.map(entry => this.#encode(entry))
    const seen = new Set<string>()
    const fresh = events.filter(({ id, record: { partition } }) => {
      const isRepeated = seen.size === seen.add(`${partition} ${id}`).size
      return !isRepeated && !this.#context.index.byId(partition, id)
    })
    this.#assertSize(fresh)
    const stored = fresh.length === 0 ? [] : await this.#enqueue(fresh)
    const written = new Map(fresh.map(({ id, record }, i) => [`${record.partition} ${id}`, stored[i]!]))
    await this.#read(stored)
    return events.map(({ id, record }) => this.#result(id, record.partition, written))
  }

  /** Stores records of the state, after what was published before. */
  store(records: readonly OutRecord[]): Promise<Position[]> {
    return this.#enqueue(records.map(record => ({ id: record.key, record, size: sizeOf(messageOf(record)) })))
  }

  /** The log is another one. */
  reset(): void {
    this.#producer = undefined
  }

  #encode(entry: EncodedEvent): OutEvent {
    const record = eventRecord(this.#context.names, entry)
    return { id: entry.event.id, record, size: sizeOf(messageOf(record)) }
  }

  #assertSize(events: readonly OutEvent[]): void {
    const { maxBatchBytes, cluster } = this.#context
    for (const part of Map.groupBy(events, ({ record }) => record.partition).values()) {
      const bytes = part.reduce((sum, { size }) => sum + size, 0)
      if (bytes > maxBatchBytes)
        throw new TidingsError(
          'E_EVENT_TOO_LARGE',
          `${part.length === 1 ? 'the event has' : `${part.length} events of one partition have`} ${bytes} bytes; ${shownKafkaAddress(cluster.address)} accepts at most ${maxBatchBytes} (max.message.bytes of ${this.#context.names.events})`,
        )
    }
  }

  #enqueue(events: readonly OutEvent[]): Promise<Position[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events, resolve, reject })
      if (!this.#isSending) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isSending = true
    while (this.#waiting.length > 0) {
      // What is published in this turn of the event loop shares the request.
      await Promise.resolve()
      const calls = this.#nextCalls()
      try {
        const positions = await this.#send(calls.flatMap(({ events }) => events.map(({ record }) => record)))
        for (const { events, resolve } of calls) resolve(positions.splice(0, events.length))
      } catch (error) {
        for (const { reject } of calls) reject(error)
      }
    }
    this.#isSending = false
  }

  /** As many calls as fit into one batch of each partition; at least one. */
  #nextCalls(): WaitingPublish[] {
    const bytes = new Map<string, number>()
    let total = 0
    let count = 0
    for (const { events } of this.#waiting) {
      for (const { record, size } of events) {
        const key = topicPartition(record.topic, record.partition)
        bytes.set(key, (bytes.get(key) ?? 0) + size)
        total += size
      }
      const isFull = total > maxRequestBytes || Math.max(...bytes.values()) > this.#context.maxBatchBytes
      if (count > 0 && isFull) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  /** In the order of the records. */
  async #send(records: readonly OutRecord[]): Promise<Position[]> {
    const bases = await this.#produce(records)
    const next = new Map<string, number>()
    return records.map(({ topic, partition }) => {
      const key = topicPartition(topic, partition)
      const n = next.get(key) ?? 0
      next.set(key, n + 1)
      return { partition, offset: bases.get(key)! + n + 1 }
    })
  }

  async #produce(records: readonly OutRecord[]): Promise<Map<string, number>> {
    const { cluster } = this.#context
    for (let attempt = 1; ; attempt++) {
      try {
        this.#producer ??= this.#init()
        return await produce(cluster, produceV9.api, records, await this.#producer, lane)
      } catch (error) {
        // The broker may have forgotten the producer, or have stored what it did not answer.
        this.#producer = undefined
        if (!(error instanceof KafkaRefusal)) throw error
        if (tooLarge.has(error.code)) throw new TidingsError('E_EVENT_TOO_LARGE', error.message, { cause: error })
        if (attempt > 1) throw error
      }
    }
  }

  async #init(): Promise<ProducerState> {
    const { producerId, producerEpoch } = await this.#context.cluster.ask(
      initProducerIdV4.api,
      'any',
      [null, 0, -1n, -1],
      { isRepeatable: true },
    )
    return { producerId, producerEpoch, sequences: new Map() }
  }

  /** Waits until the index has what was written, to see whether somebody else was faster. It is stored in any case. */
  async #read(stored: readonly Position[]): Promise<void> {
    const last = new Map<number, Position>()
    for (const position of stored) last.set(position.partition, position)
    await this.#context.follower.reach([...last.values()]).catch(() => {})
  }

  #result(id: string, partition: number, written: Map<string, Position>): AppendResult {
    const first = this.#context.index.byId(partition, id)
    const own = written.get(`${partition} ${id}`)
    // The next one with this id repeats it.
    written.delete(`${partition} ${id}`)
    const position = first ? { partition, offset: first.offset } : own!
    return { position, duplicate: own?.offset !== position.offset }
  }
}

const tooLarge = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
