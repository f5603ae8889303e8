import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type * as KafkaPackage from '@platformatic/kafka'
import { settledOrAborted } from '../../bus/abort.ts'
import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { isRefusal, kafkaErrorText, loadKafka } from '../../kafka/connection.ts'
import type { RunningTrigger, Trigger } from '../trigger.ts'
import { warnOfTrigger } from '../warn-of-trigger.ts'
import { RecordConverter } from './convert.ts'
import { KafkaInbox } from './inbox.ts'
import { TopicConsumer } from './topic-consumer.ts'
import { PartitionReader } from './reader.ts'
import { Rejections } from './rejections.ts'
import { kafkaSettings, type KafkaTriggerOptions, type KafkaTriggerSettings } from './settings.ts'
import { typesOfRoutes } from './topics.ts'

export type { KafkaTriggerOptions } from './settings.ts'
export type { KafkaTopic, KafkaTopicRecord, KafkaTopics, MappedRecord, RecordFormat, RecordType } from './topics.ts'

// The delay doubles with each failure, and starts again after a fetch that succeeded.
const [minRetryDelayMs, maxRetryDelayMs] = [200, 5_000]
const refusedDelayMs = 30_000
/** After this number of failures in a row the process joins the group again, with new connections. */
const maxReadFailures = 5
const partitionCheckIntervalMs = 60_000

/**
 * Reads topics of a Kafka cluster: the event of a record is on the log before its offset is committed. Independent of where the log is.
 * `docs/guides/kafka-topics.md` describes mappings and guarantees.
 * @throws E_APP_INVALID, E_EVENT_INVALID, E_SETTING_INVALID
 * @example kafka({ url: 'kafka://broker.example.com:9092', group: 'shop', topics: ['orders'] })
 */
export function kafka(options: KafkaTriggerOptions): Trigger {
  const settings = kafkaSettings(options)
  return {
    kind: 'trigger',
    name: settings.name,
    types: typesOfRoutes(settings.routes),
    address: settings.address,
    start: async bus => {
      const receiver = new KafkaReceiver(bus, settings, await loadKafka())
      await receiver.start()
      return receiver
    },
    sendSample: async () => produceSample(await loadKafka(), settings),
  }
}

class KafkaReceiver implements RunningTrigger {
  readonly #bus: Bus
  readonly #settings: KafkaTriggerSettings
  readonly #package: typeof KafkaPackage
  readonly #stopping = new AbortController()
  readonly #rejections: Rejections
  readonly #inbox: KafkaInbox
  readonly #readTopicIds = new Map<string, string>()
  #loop: Promise<void> = Promise.resolve()
  #failures = 0
  #problem = ''

  constructor(bus: Bus, settings: KafkaTriggerSettings, kafkaPackage: typeof KafkaPackage) {
    this.#bus = bus
    this.#settings = settings
    this.#package = kafkaPackage
    const converter = new RecordConverter(bus, settings)
    this.#rejections = new Rejections(bus, settings, converter)
    this.#inbox = new KafkaInbox(bus, settings, { converter, rejections: this.#rejections })
  }

  get address(): string {
    const { address } = this.#settings
    return this.#problem ? `${address} (not connected: ${this.#problem})` : address
  }

  /** Resolves when it has joined the group, or waits for the cluster. @throws E_KAFKA_REFUSED if retrying cannot help */
  async start(): Promise<void> {
    await this.#rejections.start()
    const joined = Promise.withResolvers<void>()
    this.#loop = this.#run(joined)
    try {
      await joined.promise
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(abort?: AbortSignal): Promise<void> {
    this.#stopping.abort()
    await settledOrAborted(this.#loop, abort)
    await this.#rejections.stop(abort)
  }

  /** Joins the group and reads, until it is stopped. The first attempt settles `joined`. */
  async #run(joined: PromiseWithResolvers<void>): Promise<void> {
    const { signal } = this.#stopping
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      try {
        await this.#session(joined)
      } catch (error) {
        const refused = isRefusal(error)
        this.#onProblem(error, refused)
        if (refused && isFirst) {
          const { address } = this.#settings
          return joined.reject(new TidingsError('E_KAFKA_REFUSED', `${address}: ${this.#problem}`, { cause: error }))
        }
        await this.#pause(refused)
      }
      joined.resolve()
    }
  }

  /** One membership of the group. */
  async #session(joined: PromiseWithResolvers<void>): Promise<void> {
    const { signal } = this.#stopping
    let round = new AbortController()
    const ended = new AbortController()
    const member = new TopicConsumer(this.#package, this.#settings, {
      onAssigned: () => round.abort(),
      onError: error => ended.abort(error),
      readTopicIds: this.#readTopicIds,
    })
    const stopped = AbortSignal.any([signal, ended.signal])
    const check = setInterval(() => void member.rejoinIfPartitionsChanged().catch(() => {}), partitionCheckIntervalMs)
    check.unref()
    try {
      await member.join()
      this.#onProgress()
      joined.resolve()
      const reader = new PartitionReader(member, this.#inbox, text => this.#warn(text))
      for (let failures = 0; !stopped.aborted; ) {
        round = new AbortController()
        try {
          await reader.run(AbortSignal.any([stopped, round.signal]), () => {
            failures = 0
            this.#onProgress()
          })
        } catch (error) {
          if (isRefusal(error) || ++failures > maxReadFailures) throw error
          this.#onProblem(error, false)
          await this.#pause(false)
        }
      }
      if (!signal.aborted) throw ended.signal.reason
    } finally {
      clearInterval(check)
      await member.close()
    }
  }

  #onProgress(): void {
    if (this.#problem) this.#warn(`connected to ${this.#settings.address}`)
    this.#problem = ''
    this.#failures = 0
  }

  #onProblem(error: unknown, refused: boolean): void {
    const problem = kafkaErrorText(error)
    if (problem === this.#problem || this.#stopping.signal.aborted) return
    this.#problem = problem
    this.#warn(`${refused ? 'E_KAFKA_REFUSED ' : ''}${this.address}`)
  }

  #warn(text: string): void {
    warnOfTrigger(this.#bus, this.#settings.name, text)
  }

  /** A long one if retrying cannot help: it may be fixed at the cluster. */
  async #pause(refused: boolean): Promise<void> {
    const ms = refused ? refusedDelayMs : Math.min(minRetryDelayMs * 2 ** this.#failures++, maxRetryDelayMs)
    const delay = ms * (0.75 + Math.random() / 2)
    await pause(delay, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }
}

/** Produces a sample to the first topic. @throws E_KAFKA_REFUSED, E_TRIGGER_SILENT */
async function produceSample(kafka: typeof KafkaPackage, { client, routes, registry, address }: KafkaTriggerSettings) {
  const [topic, route] = routes.entries().next().value!
  if (route.value === 'registry' || (registry && route.value === undefined))
    throw new TidingsError(
      'E_TRIGGER_SILENT',
      `values of "${topic}" need a schema of the registry; produce a record yourself`,
    )
  const producer = new kafka.Producer({
    ...client(),
    clientId: `tidings-sample-${randomUUID().slice(0, 8)}`,
    retries: 1,
  })
  try {
    const value = Buffer.from(JSON.stringify({ sample: true }))
    await producer.send({ messages: [{ topic, value }], acks: kafka.ProduceAcks.ALL })
  } catch (cause) {
    throw new TidingsError('E_KAFKA_REFUSED', `${address}: ${kafkaErrorText(cause)}`, { cause })
  } finally {
    await producer.close()
  }
}
