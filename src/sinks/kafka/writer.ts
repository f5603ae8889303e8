import type * as Kafka from '@platformatic/kafka'
import { TidingsError } from '../../errors.ts'
import { kafkaErrorText } from '../../kafka/connection.ts'
import { murmur2 } from '../../kafka/murmur2.ts'
import type { SinkRecord } from './encode.ts'
import type { KafkaSinkSettings } from './settings.ts'

/** What a broker refuses of a record, and not of its topic. */
const recordFaults = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD', 'INVALID_TIMESTAMP']

/**
 * Produces records, one batch at a time, so that their order is that of the calls. The producer is idempotent: what the client repeats is
 * stored once. After a failure it is replaced.
 */
export class RecordWriter {
  readonly #package: typeof Kafka
  readonly #settings: KafkaSinkSettings
  #producer: Kafka.Producer | undefined
  #keyless = 0

  constructor(kafka: typeof Kafka, settings: KafkaSinkSettings) {
    this.#package = kafka
    this.#settings = settings
  }

  /** Asks for the topics. */
  async connect(): Promise<void> {
    const topics = [...new Set(this.#settings.routes.map(({ topic }) => topic))]
    await this.#open().metadata({ topics, forceUpdate: true })
  }

  /**
   * Resolves when all in-sync replicas have the records. If it rejects, a part of them may be stored.
   * @throws E_RECORD_INVALID if the cluster refuses one of them, however often it is sent
   */
  async write(records: readonly SinkRecord[]): Promise<void> {
    const { ProduceAcks } = this.#package
    const messages = records.map(({ topic, key, value, headers }) => ({
      topic,
      ...(key && { key }),
      ...(value && { value }),
      headers: headers as Map<Buffer, Buffer>,
    }))
    try {
      await this.#open().send({
        messages,
        acks: ProduceAcks.ALL,
        // That of Java, so that a key has the same partition whichever program writes it.
        partitioner: (_, key) => (key ? murmur2(key) : this.#keyless++),
      })
    } catch (error) {
      await this.close()
      const fault = this.#recordFault(error)
      throw fault ? new TidingsError('E_RECORD_INVALID', fault, { cause: error }) : error
    }
  }

  #recordFault(error: unknown): string | undefined {
    const isFault = error instanceof Error && recordFaults.some(id => this.#package.findErrorBy(error, 'apiId', id))
    return isFault ? `the cluster refuses the record: ${kafkaErrorText(error)}` : undefined
  }

  async close(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close(true).catch(() => {})
  }

  #open(): Kafka.Producer {
    this.#producer ??= new this.#package.Producer({
      ...this.#settings.client(),
      clientId: `tidings-sink-${this.#settings.name}`,
      idempotent: true,
      // The client would send 0 and 0, with which some brokers refuse.
      producerId: -1n,
      producerEpoch: -1,
      retries: 4,
      retryDelay: 250,
    })
    return this.#producer
  }
}
