import { textOf, TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { attributesOf, structuredType } from '../../kafka/cloud-events.ts'
import type { SchemaRegistry } from '../../kafka/registry/registry.ts'
import type { KafkaSinkSchema, SinkRoute } from './settings.ts'

/** A record to produce. */
export interface SinkRecord {
  readonly topic: string
  readonly key: Buffer | undefined
  readonly value: Buffer | undefined
  readonly headers: ReadonlyMap<Buffer, Buffer>
  readonly bytes: number
}

/**
 * The record of an event in a topic; undefined if `value` skips it.
 * @throws E_RECORD_INVALID if it can never be written, E_REGISTRY_UNAVAILABLE
 */
export async function sinkRecord(
  event: CloudEvent,
  route: SinkRoute,
  registry: SchemaRegistry | undefined,
): Promise<SinkRecord | undefined> {
  const { topic, form = 'binary' } = route
  const data = valueOf(route, event)
  if (data === undefined) return undefined
  const key = named(route, event)
  const headers: Record<string, string> = { ...extra(route, event) }
  let value: Buffer | undefined
  if (form === 'structured') {
    headers['content-type'] = `${structuredType}; charset=utf-8`
    value = Buffer.from(JSON.stringify({ ...attributesOf(event), datacontenttype: 'application/json', data }))
  } else {
    const encoded = data === null ? undefined : await encodedValue(data, topic, route.schema, registry)
    value = encoded?.bytes
    if (form === 'binary') {
      for (const [name, text] of Object.entries(attributesOf(event))) headers[`ce_${name}`] = text
      if (encoded) headers['content-type'] = encoded.contentType
    }
    if (event.traceparent !== undefined) headers.traceparent = event.traceparent
  }
  const pairs = Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)] as const)
  const sizes = [value, key, ...pairs.flat()].map(each => each?.length ?? 0)
  return { topic, key, value, headers: new Map(pairs), bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

async function encodedValue(
  data: unknown,
  topic: string,
  schema: KafkaSinkSchema | undefined,
  registry: SchemaRegistry | undefined,
): Promise<{ bytes: Buffer; contentType: string }> {
  if (!schema || !registry) return { bytes: Buffer.from(jsonText(data)), contentType: 'application/json' }
  const { record, register, version } = schema
  const subject = subjectOf(topic, schema)
  const id = register ? await registry.register(subject, register) : await registry.idOf(subject, version)
  return registry.encode(data, id, record)
}

/** The strategies of Confluent for the names of subjects. */
function subjectOf(topic: string, { subject = 'topic', record }: KafkaSinkSchema): string {
  if (subject === 'topic') return `${topic}-value`
  return subject === 'record' ? record! : `${topic}-${record}`
}

function jsonText(data: unknown): string {
  const text = JSON.stringify(data) as string | undefined
  if (text === undefined) throw invalid('value() returned what JSON cannot represent')
  return text
}

const valueOf = (route: SinkRoute, event: CloudEvent) =>
  route.value ? byUser('value', () => route.value!(event)) : event.data
const extra = (route: SinkRoute, event: CloudEvent) => byUser('headers', () => route.headers?.(event) ?? {})

function named(route: SinkRoute, event: CloudEvent): Buffer | undefined {
  const key = route.key ? byUser('key', () => route.key!(event)) : event.correlationid
  if (key === null) return undefined
  if (typeof key !== 'string') throw invalid('key() must return a text or null')
  return Buffer.from(key)
}

function byUser<T>(name: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw invalid(`${name}() threw: ${textOf(cause)}`, cause)
  }
}

const invalid = (detail: string, cause?: unknown) => new TidingsError('E_RECORD_INVALID', detail, { cause })
