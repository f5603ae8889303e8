import { hash } from 'node:crypto'
import type { Bus } from '../../bus/bus.ts'
import { settledOrAborted, workerStopped } from '../../bus/abort.ts'
import { consume, type HandlerResult, type RunningConsumer } from '../../bus/delivery.ts'
import { reasonOf } from '../../bus/reason.ts'
import { TidingsError, toTidingsError, type ErrorCode } from '../../errors.ts'
import { defaultTenant, type CloudEvent, type Draft } from '../../event.ts'
import type { KafkaRejected, RawBytes } from '../../received.ts'
import type { RecordConverter } from './convert.ts'
import type { TopicRecord } from './record.ts'
import type { KafkaTriggerSettings } from './settings.ts'

const rejectedType = 'kafka.rejected'

/** Fewer bytes are in the event itself. */
const inlineBytes = 1_024
const suffix = ':rejected'
const maxInFlight = 16

const recordFaults = new Set<ErrorCode>(['E_RECORD_INVALID', 'E_EVENT_INVALID', 'E_EVENT_TOO_LARGE', 'E_VALUE_INVALID'])

/** Whether the fault is in the record or its mapping, and not in what the trigger needs to read it. */
export const isRecordFault = (error: unknown): error is TidingsError =>
  error instanceof TidingsError && recordFaults.has(error.code)

/**
 * Keeps records that cannot become events: each is an event `kafka.rejected` with its bytes, whose delivery to this trigger is parked. When a
 * person releases it, the trigger tries to convert it again.
 */
export class Rejections {
  readonly #bus: Bus
  readonly #settings: KafkaTriggerSettings
  readonly #converter: RecordConverter
  readonly #abandoned = new AbortController()
  #consumer: RunningConsumer | undefined

  constructor(bus: Bus, settings: KafkaTriggerSettings, converter: RecordConverter) {
    this.#bus = bus
    this.#settings = settings
    this.#converter = converter
  }

  async start(): Promise<void> {
    const { name } = this.#settings
    this.#consumer = await consume(this.#bus, {
      group: keyOf(this.#settings),
      filter: [{ types: [rejectedType], targets: [name] }],
      maxInFlight,
      from: 'beginning',
      maxDeliveries: Infinity,
      handle: event => this.#tryAgain(event),
      fail: () => [],
    })
  }

  async stop(abort?: AbortSignal): Promise<void> {
    this.#consumer?.pause()
    await settledOrAborted(this.#consumer?.drained() ?? Promise.resolve(), abort)
    const closed = this.#consumer?.close()
    this.#abandoned.abort(workerStopped())
    await closed
  }

  /** The event for a record. `id`: that of the event that it should have become. */
  async draft(record: TopicRecord, id: string, { code, message }: TidingsError): Promise<Draft<KafkaRejected>> {
    const { topic, partition, offset, timestamp, key, value } = record
    const headers: { name: string; value: RawBytes | null }[] = []
    for (const { name, value } of record.headers) headers.push({ name, value: await this.#keep(value) })
    return {
      id: `${id}${suffix}`,
      type: rejectedType,
      source: `/triggers/${this.#settings.name}`,
      target: this.#settings.name,
      data: {
        topic,
        partition,
        offset,
        timestamp,
        error: { code, message },
        sha256: value && hash('sha256', value, 'hex'),
        key: await this.#keep(key),
        value: await this.#keep(value),
        headers,
      },
    }
  }

  async #keep(bytes: Buffer | null): Promise<RawBytes | null> {
    if (bytes === null) return null
    if (bytes.length > inlineBytes) return this.#bus.putBlob(defaultTenant, bytes)
    return { base64: Buffer.from(this.#bus.redactor.bytes(bytes)).toString('base64') }
  }

  async #bytes(raw: RawBytes | null): Promise<Buffer | null> {
    if (raw === null) return null
    return 'base64' in raw
      ? Buffer.from(raw.base64, 'base64')
      : Buffer.from(await this.#bus.getBlob(defaultTenant, raw.blob))
  }

  async #tryAgain(event: CloudEvent): Promise<HandlerResult> {
    // A redrive or a fork repeats what became of the record.
    if (event.replay !== undefined) return { outcome: { kind: 'done' } }
    try {
      const draft = await this.#converter.convert(await this.#record(event), event.id.slice(0, -suffix.length))
      this.#abandoned.signal.throwIfAborted()
      if (draft) await this.#bus.publish({ ...draft, causationid: event.id })
      return { outcome: { kind: 'done' } }
    } catch (error) {
      const failure = toTidingsError(error, 'E_INTERNAL')
      if (failure.retryable || this.#abandoned.signal.aborted) throw failure
      return { outcome: { kind: 'park', key: keyOf(this.#settings), reason: reasonOf(failure) } }
    }
  }

  async #record({ data }: CloudEvent): Promise<TopicRecord> {
    const { topic, partition, offset, timestamp, key, value, headers } = data as KafkaRejected
    return {
      topic,
      partition,
      offset,
      timestamp,
      key: await this.#bytes(key),
      value: await this.#bytes(value),
      headers: await Promise.all(headers.map(async ({ name, value }) => ({ name, value: await this.#bytes(value) }))),
    }
  }
}

/** The group and the key under which its records are parked: `tidings attention retry --key trigger/NAME`. */
const keyOf = ({ name }: Pick<KafkaTriggerSettings, 'name'>) => `trigger/${name}`
