import { setTimeout as pause } from 'node:timers/promises'
import { settledOrAborted } from '../../bus/abort.ts'
import type { Bus } from '../../bus/bus.ts'
import { settle } from '../../bus/delivery.ts'
import type { Consumer, Delivery } from '../../bus/driver.ts'
import { shardOf } from '../../bus/ids.ts'
import { reasonOf } from '../../bus/reason.ts'
import { log } from '../../bus/telemetry/log.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { TidingsError, toTidingsError } from '../../errors.ts'
import { isRefusal, kafkaErrorText, loadKafka } from '../../kafka/connection.ts'
import type { RunningSink, Sink } from '../sink.ts'
import { sinkRecord, type SinkRecord } from './encode.ts'
import { kafkaSinkSettings, type KafkaSinkOptions, type KafkaSinkSettings } from './settings.ts'
import { RecordWriter } from './writer.ts'

export type { KafkaSinkOptions, KafkaSinkSchema, KafkaSinkTopic } from './settings.ts'

// While the cluster or the registry is unavailable; the delay doubles.
const [minRetryDelayMs, maxRetryDelayMs] = [200, 5_000]
const maxInFlight = 256
/** A batch may have at most `max.message.bytes` of the topic, which is 1 MiB by default. */
const maxBatchBytes = 512 * 1024

/**
 * Writes events to topics of a Kafka cluster, at least once: an event is settled when all in-sync replicas have its record. Independent of
 * where the log is. `docs/guides/kafka-topics.md` describes forms, keys and guarantees.
 * @throws E_APP_INVALID, E_SETTING_INVALID
 * @example kafkaSink({ url: 'kafka://broker.example.com:9092', topics: { payments: paid } })
 */
export function kafkaSink(options: KafkaSinkOptions): Sink {
  const settings = kafkaSinkSettings(options)
  return {
    kind: 'sink',
    name: settings.name,
    types: typesOf(settings),
    address: settings.address,
    start: async bus => {
      const running = new RunningKafkaSink(bus, settings, new RecordWriter(await loadKafka(), settings))
      await running.start(isRefusal)
      return running
    },
  }
}

const typesOf = ({ routes }: KafkaSinkSettings) => [...new Set(routes.flatMap(({ patterns }) => patterns))]

/** An event and its records. */
interface Pending {
  readonly delivery: Delivery
  readonly records: readonly SinkRecord[]
}

class RunningKafkaSink implements RunningSink {
  readonly #bus: Bus
  readonly #settings: KafkaSinkSettings
  readonly #writer: RecordWriter
  readonly #stopping = new AbortController()
  #consumer: Consumer | undefined
  #queue: Delivery[] = []
  #writing: Promise<void> | undefined
  #problem = ''

  constructor(bus: Bus, settings: KafkaSinkSettings, writer: RecordWriter) {
    this.#bus = bus
    this.#settings = settings
    this.#writer = writer
  }

  get address(): string {
    const { address } = this.#settings
    return this.#problem ? `${address} (not connected: ${this.#problem})` : address
  }

  /** @throws E_KAFKA_REFUSED if retrying cannot help */
  async start(isRefused: (error: unknown) => boolean): Promise<void> {
    try {
      await this.#writer.connect()
    } catch (error) {
      this.#onProblem(error)
      await this.#writer.close()
      if (isRefused(error))
        throw new TidingsError('E_KAFKA_REFUSED', `${this.#settings.address}: ${this.#problem}`, { cause: error })
    }
    this.#consumer = await this.#bus.subscribe({
      group: keyOf(this.#settings),
      filter: [{ types: typesOf(this.#settings) }],
      // The order within a correlation is kept, which members of a shared group would not.
      mode: 'sharded',
      from: this.#settings.from,
      maxInFlight,
      onDelivery: delivery => {
        this.#queue.push(delivery)
        this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined))
      },
      onLost: shard => {
        const { shards } = this.#bus
        this.#queue = this.#queue.filter(({ event }) => shardOf(event.correlationid, shards) !== shard)
      },
    })
  }

  async stop(abort?: AbortSignal): Promise<void> {
    this.#consumer?.pause()
    // What waits for the cluster is given back; what is being written is finished.
    this.#stopping.abort()
    await settledOrAborted(this.#writing ?? Promise.resolve(), abort)
    await this.#consumer?.close()
    await this.#writer.close()
  }

  async #writeAll(): Promise<void> {
    // Deliveries of a moment share a batch.
    await pause(0)
    while (this.#queue.length > 0 && !this.#stopping.signal.aborted) {
      const batch: Pending[] = []
      let bytes = 0
      while (this.#queue.length > 0 && bytes < maxBatchBytes && !this.#stopping.signal.aborted) {
        const pending = await this.#prepare(this.#queue.shift()!)
        if (!pending) continue
        batch.push(pending)
        for (const record of pending.records) bytes += record.bytes
      }
      await this.#write(batch)
    }
  }

  /** The records of an event. Undefined if it was set aside, or the sink stops. */
  async #prepare(delivery: Delivery): Promise<Pending | undefined> {
    const { routes, registry } = this.#settings
    return this.#orSetAside(delivery, async () => {
      const event = await this.#bus.resolve(delivery.event)
      // A redrive or a fork repeats what the log holds, not what other systems did.
      if (event.replay !== undefined) return { delivery, records: [] }
      const records: SinkRecord[] = []
      for (const route of routes)
        if (route.matches(event)) {
          const record = await sinkRecord(event, route, registry)
          if (record) records.push(record)
        }
      return { delivery, records }
    })
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    if (batch.length > 1) {
      const written = await this.#whenAvailable(() => this.#produce(batch)).catch(() => false)
      if (written) return this.#done(batch)
      if (this.#stopping.signal.aborted) return
      // One of them is at fault: the others are written without it, in their order.
      for (const each of batch) await this.#write([each])
      return
    }
    const [only] = batch
    const written = only && (await this.#orSetAside(only.delivery, () => this.#produce(batch)))
    if (written) await this.#done(batch)
  }

  async #produce(batch: readonly Pending[]): Promise<true> {
    const records = batch.flatMap(({ records }) => records)
    if (records.length > 0) await this.#writer.write(records)
    if (this.#problem) this.#warn(`connected to ${this.#settings.address}`)
    this.#problem = ''
    return true
  }

  async #done(batch: readonly Pending[]): Promise<void> {
    await Promise.all(batch.map(({ delivery }) => settle(this.#bus, delivery, { kind: 'done' })))
  }

  /** Parks an event that can never be written: it is on the attention list, and the ones behind it go on. */
  async #orSetAside<T>(delivery: Delivery, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#whenAvailable(work)
    } catch (error) {
      if (this.#stopping.signal.aborted) return undefined
      const failure = toTidingsError(error, 'E_RECORD_INVALID')
      await settle(this.#bus, delivery, { kind: 'park', key: keyOf(this.#settings), reason: reasonOf(failure) })
      return undefined
    }
  }

  /** Repeats the work until it succeeds or the event is at fault, while further events wait on the log. */
  async #whenAvailable<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#stopping
    for (let ms = minRetryDelayMs; ; ms = Math.min(ms * 2, maxRetryDelayMs)) {
      try {
        return await work()
      } catch (error) {
        if (error instanceof TidingsError && !error.retryable && error.code !== 'E_KAFKA_MISSING') throw error
        this.#onProblem(error)
        await pause(ms, undefined, { signal }).catch(() => {})
        signal.throwIfAborted()
      }
    }
  }

  #onProblem(error: unknown): void {
    const problem = error instanceof TidingsError ? `${error.code} ${error.message}` : kafkaErrorText(error)
    if (problem === this.#problem) return
    this.#problem = problem
    this.#warn(this.address)
  }

  #warn(text: string): void {
    const { redactor } = this.#bus
    if (log.warn) log.warn({ sink: this.#settings.name }, redactor.text(text))
    else warn(redactor, `sink ${this.#settings.name}: ${text}`)
  }
}

/** The group, and the key under which its events are parked: `tidings attention retry --key sink/NAME`. */
const keyOf = ({ name }: Pick<KafkaSinkSettings, 'name'>) => `sink/${name}`
