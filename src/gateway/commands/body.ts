import type { IncomingMessage } from 'node:http'
import { parseJson } from '../../bus/decode.ts'
import { TidingsError } from '../../errors.ts'
import { readBody } from '../../http/body.ts'
import { httpError } from '../../http/response.ts'

const maxEvents = 1_000

const structuredType = 'application/cloudevents+json'
const batchType = 'application/cloudevents-batch+json'

/**
 * The events of a request, not validated yet: one event or an array as JSON, a CloudEvent or a batch in structured mode,
 * or a CloudEvent in binary mode (attributes in `ce-` headers, data in the body).
 * @throws 415, E_REQUEST_TOO_LARGE, E_REQUEST_INVALID, E_EVENT_INVALID
 */
export async function readEvents(incoming: IncomingMessage, maxBytes: number): Promise<unknown[]> {
  const type = assertMediaType(incoming.headers['content-type'])
  const value = parseJson(await readText(incoming, maxBytes))
  if (type === 'application/json' && incoming.headers['ce-specversion'] !== undefined)
    return [{ ...binaryAttributes(incoming), data: value }]
  const events = type !== structuredType && Array.isArray(value) ? value : [value]
  if (type === batchType && !Array.isArray(value))
    throw new TidingsError('E_REQUEST_INVALID', `the body of ${batchType} must be a JSON array`)
  if (events.length === 0) throw new TidingsError('E_REQUEST_INVALID', 'the array has no events; send at least one')
  if (events.length <= maxEvents) return events
  const problem = `the request has ${events.length} events; send at most ${maxEvents} at once`
  throw new TidingsError('E_REQUEST_TOO_LARGE', problem)
}

/** The value of a request whose body is JSON. @throws 415, E_REQUEST_TOO_LARGE, E_EVENT_INVALID, E_REQUEST_INVALID */
export async function readJsonBody(incoming: IncomingMessage, maxBytes: number): Promise<unknown> {
  assertMediaType(incoming.headers['content-type'], ['application/json'])
  return parseJson(await readText(incoming, maxBytes))
}

function assertMediaType(
  header: string | undefined,
  accepted: readonly string[] = ['application/json', structuredType, batchType],
): string {
  const [type = '', ...parameters] = (header ?? '').split(';').map(part => part.trim().toLowerCase())
  if (accepted.includes(type) && parameters.every(parameter => /^charset="?utf-8"?$/.test(parameter))) return type
  throw httpError(415, `content-type must be ${accepted.join(' or ')}, in UTF-8`)
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
function binaryAttributes(incoming: IncomingMessage): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(incoming.headersDistinct)) {
    if (!name.startsWith('ce-')) continue
    if (name === 'ce-data' || value?.length !== 1)
      throw new TidingsError('E_REQUEST_INVALID', `header "${name}" is not an attribute that may be sent once`)
    attributes[name.slice(3)] = decodeHeader(name, value[0]!)
  }
  return attributes
}

function decodeHeader(name: string, value: string): string {
  try {
    return decodeURIComponent(value)
  } catch (cause) {
    throw new TidingsError('E_REQUEST_INVALID', `header "${name}" is not percent-encoded UTF-8`, { cause })
  }
}
