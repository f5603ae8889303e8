import { isCorrelation, correlationFrom } from '../../bus/ids.ts'
import type { Bus } from '../../bus/bus.ts'
import { assertCustomType } from '../../bus/admit.ts'
import { contextOf } from '../../bus/telemetry/tracing.ts'
import { textOf, TidingsError } from '../../errors.ts'
import { defaultTenant, type Draft, type EventType } from '../../event.ts'
import { parseExactly } from '../../json-text.ts'
import { binaryAttributes, isStructured, structuredEvent, type CloudEventAttributes } from '../../kafka/cloud-events.ts'
import type { KafkaReceived } from '../../received.ts'
import { digestOf } from '../digest.ts'
import { parseJsonOrText, utf8Text, typedPayload, typedValue } from '../payload.ts'
import { toSubject } from '../subject.ts'
import { headerTexts, type TopicRecord } from './record.ts'
import type { KafkaTriggerSettings } from './settings.ts'
import { asCloudEvents, untypedRecord, type MappedRecord, type RecordFormat, type TopicRoute } from './topics.ts'

/** Turns records into the drafts of events. */
export class RecordConverter {
  readonly #bus: Bus
  readonly #settings: KafkaTriggerSettings

  constructor(bus: Bus, settings: KafkaTriggerSettings) {
    this.#bus = bus
    this.#settings = settings
  }

  /**
   * The draft of a record, whose id is `id` unless the record or the mapping names one. Undefined if the mapping skips it.
   * @throws E_RECORD_INVALID, E_EVENT_INVALID, E_EVENT_TOO_LARGE if it can never become an event; E_REGISTRY_UNAVAILABLE, E_LOG_UNAVAILABLE
   */
  async convert(record: TopicRecord, id: string): Promise<Draft | undefined> {
    try {
      return await this.#convert(record, id)
    } catch (error) {
      if (error instanceof TidingsError) throw error
      throw invalid(`the record cannot be read: ${textOf(error)}`, error)
    }
  }

  async #convert(record: TopicRecord, id: string): Promise<Draft | undefined> {
    const route = this.#settings.routes.get(record.topic)
    if (!route) throw invalid(`the trigger does not read the topic ${record.topic}`)
    this.#assertSize(record)
    const headers = headerTexts(record)
    const structured = record.value && isStructured(headers) ? structuredEvent(record.value) : undefined
    const cloudEvent = structured?.attributes ?? binaryAttributes(headers)
    const key = await this.#key(record, route.key)
    const traceparent = headers.traceparent ?? cloudEvent?.traceparent
    const draft = {
      id,
      source: `/triggers/${this.#settings.name}`,
      ...(typeof key === 'string' && this.#subject(key)),
      ...(traceparent !== undefined && contextOf(traceparent) && { traceparent }),
    }
    if (route.map) {
      const value = structured ? structured.data : await this.#value(record, route)
      return this.#mapped(draft, route, { record, headers, key, value, cloudEvent })
    }
    if (route.type === asCloudEvents) {
      if (!cloudEvent) throw invalid('the record is no CloudEvent: it has neither ce_ headers nor its content-type')
      const data = structured ? structured.data : await this.#value(record, route)
      return this.#ofCloudEvent(draft, cloudEvent, data)
    }
    if (route.type === untypedRecord)
      return { ...draft, type: untypedRecord, data: await this.#received(record, route, key) }
    const data = structured ? structured.data : undefined
    return { ...draft, type: route.type.type, data: await this.#typed(record, route, route.type, data) }
  }

  #assertSize({ value }: TopicRecord): void {
    const { maxBytes } = this.#settings
    if (value !== null && value.length > maxBytes)
      throw new TidingsError('E_EVENT_TOO_LARGE', `the value has ${value.length} bytes, but maxBytes is ${maxBytes}`)
  }

  #subject(text: string): { subject?: string } {
    const subject = toSubject(this.#bus.redactor, text)
    return subject ? { subject } : {}
  }

  async #key({ key }: TopicRecord, format: RecordFormat | undefined): Promise<unknown> {
    if (key === null) return null
    return format ? this.#decoded(key, format, 'the key') : (utf8Text(key) ?? key.toString('base64'))
  }

  /** Null for a tombstone. Without a format, JSON or text or Base64, whichever fits. */
  async #value({ value }: TopicRecord, route: TopicRoute): Promise<unknown> {
    if (value === null) return null
    const format = this.#formatOf(route)
    if (format) return this.#decoded(value, format, 'the value')
    const text = utf8Text(value)
    return text === undefined ? value.toString('base64') : parseJsonOrText(text)
  }

  #formatOf({ value }: TopicRoute): RecordFormat | undefined {
    return value ?? (this.#settings.registry && 'registry')
  }

  async #decoded(bytes: Buffer, format: RecordFormat, what: string): Promise<unknown> {
    if (format === 'registry') return this.#settings.registry!.decode(bytes)
    if (format === 'bytes') return bytes.toString('base64')
    const text = utf8Text(bytes)
    if (text === undefined) throw invalid(`${what} is not UTF-8`)
    if (format === 'text') return text
    try {
      return parseExactly(text)
    } catch (cause) {
      throw invalid(`${what} is not JSON: ${textOf(cause)}`, cause)
    }
  }

  async #typed({ value }: TopicRecord, route: TopicRoute, type: EventType, structured: unknown): Promise<unknown> {
    if (structured !== undefined) return typedValue(structured, type)
    if (value === null) return typedValue(null, type)
    const format = this.#formatOf(route)
    if (format) return typedValue(await this.#decoded(value, format, 'the value'), type)
    const text = utf8Text(value)
    if (text === undefined) throw invalid(`the value is not UTF-8, but ${type.type} needs JSON or text`)
    return typedPayload(text, type)
  }

  async #received(record: TopicRecord, route: TopicRoute, key: unknown): Promise<KafkaReceived> {
    const { topic, partition, offset, timestamp, value, headers } = record
    const isBinary = value !== null && !this.#formatOf(route) && utf8Text(value) === undefined
    return {
      topic,
      partition,
      offset,
      timestamp,
      key,
      value: isBinary ? null : await this.#value(record, route),
      ...(value === null && { tombstone: true }),
      ...(isBinary && { raw: await this.#bus.putBlob(defaultTenant, value) }),
      ...(headers.length > 0 && {
        headers: headers.map(({ name, value }) => ({
          name,
          value: value === null ? '' : (utf8Text(value) ?? value.toString('base64')),
        })),
      }),
    }
  }

  #ofCloudEvent(draft: DraftBase, attributes: CloudEventAttributes, data: unknown): Draft {
    const { id, source, type, subject, correlationid } = attributes
    assertCustomType(type)
    const { subject: _ofKey, ...others } = draft
    return {
      ...others,
      id: `${this.#settings.name}:ce:${digestOf(source, id).slice(0, 32)}`,
      type,
      ...(subject !== undefined && this.#subject(subject)),
      ...(isCorrelation(correlationid) && { correlationid }),
      data,
    }
  }

  async #mapped(draft: DraftBase, { map }: TopicRoute, decoded: DecodedRecord): Promise<Draft | undefined> {
    const { record, headers, key, value, cloudEvent } = decoded
    const { topic, partition, offset, timestamp } = record
    let mapped: MappedRecord | undefined
    try {
      mapped = await map!({
        topic,
        partition,
        offset,
        timestamp,
        key,
        value,
        headers,
        ...(cloudEvent && { cloudEvent }),
        raw: { key: record.key, value: record.value },
      })
    } catch (cause) {
      if (cause instanceof TidingsError && cause.retryable) throw cause
      throw invalid(`map() threw: ${textOf(cause)}`, cause)
    }
    if (mapped === undefined) return undefined
    const { type, data, id, subject, correlation } = mapped
    const name = typeof type === 'string' ? type : type?.type
    if (typeof name !== 'string') throw invalid('map() must return { type, data }, or undefined')
    assertCustomType(name)
    return {
      ...draft,
      ...(id !== undefined && { id: `${this.#settings.name}:id:${digestOf(String(id)).slice(0, 32)}` }),
      type: name,
      ...(subject !== undefined && this.#subject(String(subject))),
      ...(correlation !== undefined && { correlationid: this.#correlation(String(correlation)) }),
      data: typeof type === 'string' ? data : await typedValue(data, type),
    }
  }

  /** Texts of two triggers have different correlations, unless they are UUIDs. */
  #correlation(text: string): string {
    if (isCorrelation(text)) return text
    return correlationFrom(['kafka', this.#settings.name, text].join('\0'))
  }
}

type DraftBase = Pick<Draft, 'id' | 'source' | 'subject' | 'traceparent'>

interface DecodedRecord {
  readonly record: TopicRecord
  readonly headers: Readonly<Record<string, string>>
  readonly key: unknown
  readonly value: unknown
  readonly cloudEvent: CloudEventAttributes | undefined
}

const invalid = (detail: string, cause?: unknown) => new TidingsError('E_RECORD_INVALID', detail, { cause })
