import type { IncomingMessage } from 'node:http'
import { parseJson } from '../bus/decode.ts'
import { TidingsError } from '../errors.ts'
import { readBody } from '../http/body.ts'
import { httpError } from '../http/response.ts'

/** Most events of one request. */
const maxBatch = 1_000

const single = 'application/cloudevents+json'
const batch = 'application/cloudevents-batch+json'

/**
 * The events of a request, not looked at yet: JSON of one or an array, a CloudEvent or a batch in structured mode, or
 * a CloudEvent in binary mode (attributes in `ce-` headers, the body is the data).
 * @throws 415, E_REQUEST_TOO_LARGE, E_REQUEST_INVALID, E_EVENT_INVALID
 */
export async function readEvents(incoming: IncomingMessage, maxBytes: number): Promise<unknown[]> {
  const type = mediaType(incoming.headers['content-type'])
  const value = parseJson(await readText(incoming, maxBytes))
  if (type === 'application/json' && incoming.headers['ce-specversion'] !== undefined)
    return [{ ...attributesOf(incoming), data: value }]
  const events = type !== single && Array.isArray(value) ? value : [value]
  if (type === batch && !Array.isArray(value)) throw new TidingsError('E_REQUEST_INVALID', `${batch} is a JSON array`)
  if (events.length === 0) throw new TidingsError('E_REQUEST_INVALID', 'the array holds no event')
  if (events.length > maxBatch)
    throw new TidingsError('E_REQUEST_TOO_LARGE', `${events.length} events in one request, at most ${maxBatch}`)
  return events
}

/** The value of a request whose body is JSON. @throws 415, E_REQUEST_TOO_LARGE, E_EVENT_INVALID, E_REQUEST_INVALID */
export async function readJsonBody(incoming: IncomingMessage, maxBytes: number): Promise<unknown> {
  mediaType(incoming.headers['content-type'], ['application/json'])
  return parseJson(await readText(incoming, maxBytes))
}

function mediaType(header: string | undefined, known: readonly string[] = ['application/json', single, batch]): string {
  const [type = '', ...parameters] = (header ?? '').split(';').map(part => part.trim().toLowerCase())
  if (known.includes(type) && parameters.every(parameter => /^charset="?utf-8"?$/.test(parameter))) return type
  throw httpError(415, `content-type must be ${known.join(' or ')}, in UTF-8`)
}

async function readText(incoming: IncomingMessage, maxBytes: number): Promise<string> {
  const bytes = await readBody(incoming, maxBytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new TidingsError('E_REQUEST_INVALID', 'the body is not UTF-8', { cause })
  }
}

// CloudEvents HTTP binding 1.0.2, section 3.1: values are percent-encoded UTF-8.
function attributesOf(incoming: IncomingMessage): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming.headersDistinct)) {
    if (!name.startsWith('ce-')) continue
    if (name === 'ce-data' || value?.length !== 1)
      throw new TidingsError('E_REQUEST_INVALID', `header ${name} is not an attribute`)
    attributes[name.slice(3)] = decode(name, value[0]!)
  }
  return attributes
}

function decode(name: string, value: string): string {
  try {
    return decodeURIComponent(value)
  } catch (cause) {
    throw new TidingsError('E_REQUEST_INVALID', `header ${name} is not percent-encoded UTF-8`, { cause })
  }
}
