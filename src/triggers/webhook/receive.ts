import type { Bus } from '../../bus/bus.ts'
import { log } from '../../bus/telemetry/log.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import { traceparentFor, ingressSpan } from '../../bus/telemetry/spans.ts'
import { contextOf, inSpan } from '../../bus/telemetry/tracing.ts'
import { errorData, TidingsError } from '../../errors.ts'
import { copyOf } from '../../json.ts'
import type { WebhookReceived } from '../../received.ts'
import { validate } from '../../schema.ts'
import { instancesFedBy } from '../../tasks/links.ts'
import { type HttpResponse, httpError } from '../../http/response.ts'
import { readHeaders, readValue } from './body.ts'
import {
  webhookReceivedType,
  webhookSource,
  type VerifySignature,
  type WebhookEndpoint,
  type WebhookRequest,
} from './endpoint.ts'
import { redactedBody } from './redacted-body.ts'
import { webhookCorrelation, webhookEventId } from './ids.ts'
import { type SignedRequest, standardPrefix } from './signatures.ts'
import { waitForBroker } from './wait-for-broker.ts'

const tenant = 'default'

export interface ActiveEndpoint {
  readonly name: string
  readonly options: WebhookEndpoint
  readonly verify: VerifySignature
}

/**
 * Checks who signed it, finds what it is, and publishes it. `arrived`: ms since the epoch. The answer says that it is on the
 * log, or that this endpoint ignores it. @throws whatever else it is answered with
 */
export async function receive(
  bus: Bus,
  endpoint: ActiveEndpoint,
  signed: SignedRequest,
  arrived: number,
): Promise<HttpResponse> {
  const { at } = endpoint.verify(signed, arrived)
  try {
    return await take(bus, endpoint, signed, arrived, at)
  } catch (error) {
    // The source may be deaf; whoever has no secret cannot fill the log of the worker.
    const { code } = errorData(error, 'E_INTERNAL')
    log.warn?.({ endpoint: endpoint.name, code }, 'a webhook was refused')
    throw error
  }
}

async function take(
  bus: Bus,
  { name, options }: ActiveEndpoint,
  { headers, bytes }: SignedRequest,
  arrived: number,
  at?: number,
) {
  const found = readValue(bytes, headers['content-type'], options.scheme === 'github')
  const request: WebhookRequest = { headers: readHeaders(headers), body: found ? found.value : null }
  const id = webhookEventId(name, ownId(options, request), bytes)
  if (options.publishes && !found) throw httpError(415, 'content-type must be application/json, or that of a form')
  const mapped = await mappedTo(options, request)
  if (!mapped && options.others === 'ignore') return { status: 204 }

  await waitForBroker(bus)
  const raw = await bus.putBlob(tenant, redactedBody(bus.redactor, bytes, request, mapped))
  const data: WebhookReceived = { endpoint: name, ...request, raw }
  const correlationid = webhookCorrelation(id, at)
  const draft = {
    id,
    source: webhookSource,
    tenant,
    correlationid,
    subject: raw.blob,
    ...(mapped ?? { type: webhookReceivedType, data }),
  }
  const caller = headers.traceparent as string | undefined
  const traceparent = contextOf(caller) && caller
  const attributes = { [attribute.httpMethod]: 'POST', [attribute.httpRoute]: `/hooks/${name}` }
  const published = await inSpan(
    bus.redactor,
    () =>
      ingressSpan({
        name: `POST /hooks/${name}`,
        correlation: correlationid,
        caller: traceparent,
        at: arrived,
        attributes,
      }),
    span => bus.publish({ ...draft, ...traceparentFor(span, { traceparent }) }),
  )
  const { correlationid: correlation, duplicate } = published
  const linked = duplicate ? [] : await instancesFedBy(bus, [draft])
  const body = {
    id,
    correlationid: correlation,
    ...(duplicate && { duplicate }),
    ...(linked.length > 0 && { linked }),
  }
  return { status: 202, body }
}

/** The event that the request is by the app's own types, checked; undefined where it is of none. @throws 422 */
async function mappedTo({ publishes = [], type, scheme }: WebhookEndpoint, request: WebhookRequest) {
  const wanted = type
    ? type(copyOf(request))
    : scheme === 'github'
      ? request.headers['x-github-event']
      : fieldOf(request, 'type')
  const found = publishes.find(each => each.type === wanted)
  if (!found) return undefined
  const data = await validate(
    found.schema,
    copyOf(request.body),
    'E_REQUEST_INVALID',
    `the body is no ${found.type}`,
  ).catch((error: unknown) => {
    throw error instanceof TidingsError ? httpError(422, error.message) : error
  })
  return { type: found.type, data }
}

/** What the source calls the request, which is the same when it sends it again. @throws 400 */
function ownId({ scheme }: WebhookEndpoint, request: WebhookRequest): string | undefined {
  if (scheme === 'stripe') return textual(fieldOf(request, 'id'), 'id of the body')
  if (scheme === 'github') return textual(request.headers['x-github-delivery'], 'x-github-delivery')
  return request.headers[`${standardPrefix(request.headers)}-id`] || undefined
}

function textual(id: unknown, name: string): string {
  if (typeof id !== 'string' || id === '')
    throw httpError(400, `${name} must be a text: it tells one request from another`)
  return id
}

function fieldOf({ body }: WebhookRequest, name: string): unknown {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, name) ? Reflect.get(body, name) : undefined
}
