import type { CloudEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import { parseExactly } from '../json-text.ts'

/*
 * CloudEvents 1.0 over Kafka. Binary mode: attributes in headers `ce_…`, the data is the value. Structured mode: the value is JSON with all of
 * it, and the header `content-type` says so. Source: github.com/cloudevents/spec, kafka-protocol-binding.md.
 */

export const structuredType = 'application/cloudevents+json'

/** What a record in the form of CloudEvents says. */
export interface CloudEventAttributes {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject?: string
  readonly time?: string
  readonly datacontenttype?: string
  /** Extensions, such as `traceparent`. */
  readonly [extension: string]: string | undefined
}

/** The attributes in the headers; undefined if the record is not a CloudEvent in binary mode. @throws E_RECORD_INVALID */
export function binaryAttributes(headers: Readonly<Record<string, string>>): CloudEventAttributes | undefined {
  if (headers.ce_specversion === undefined) return undefined
  const attributes: Record<string, string> = {}
  for (const [name, text] of Object.entries(headers)) if (name.startsWith('ce_')) attributes[name.slice(3)] = text
  const contentType = headers['content-type']
  if (contentType !== undefined) attributes.datacontenttype = contentType
  return checked(attributes)
}

export const isStructured = (headers: Readonly<Record<string, string>>) =>
  (headers['content-type'] ?? '').toLowerCase().startsWith(structuredType)

/** The attributes and data of the value of a record in structured mode. @throws E_RECORD_INVALID */
export function structuredEvent(value: Buffer): { attributes: CloudEventAttributes; data: unknown } {
  let envelope: unknown
  try {
    envelope = parseExactly(value.toString())
  } catch (cause) {
    throw new TidingsError('E_RECORD_INVALID', 'the value is no CloudEvent in structured mode: it is not JSON', {
      cause,
    })
  }
  const { data = null, data_base64, ...others } = { ...(envelope as Record<string, unknown> | null) }
  const attributes: Record<string, string> = {}
  for (const [name, each] of Object.entries(others))
    if (typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean')
      attributes[name] = String(each)
  return { attributes: checked(attributes), data: typeof data_base64 === 'string' ? data_base64 : data }
}

function checked(attributes: Record<string, string>): CloudEventAttributes {
  const { specversion, id, source, type } = attributes
  if (specversion !== '1.0')
    throw new TidingsError(
      'E_RECORD_INVALID',
      `specversion is "${specversion?.slice(0, 20)}"; only CloudEvents 1.0 is known`,
    )
  if (!id || !source || !type)
    throw new TidingsError('E_RECORD_INVALID', 'the CloudEvent lacks one of id, source and type')
  return { ...attributes, id, source, type }
}

/** The attributes of an event of the log, for other systems. */
export function attributesOf(event: CloudEvent): Record<string, string> {
  const { data: _, dataref: _ref, datacontenttype: _type, hops: _hops, ...attributes } = event
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, String(value)]))
}
