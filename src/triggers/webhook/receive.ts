import { setTimeout as pause } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { publishFromOutside } from '../../bus/ingress.ts'
import { defaultTenant } from '../../event.ts'
import { log } from '../../bus/telemetry/log.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import { errorData, TidingsError } from '../../errors.ts'
import { copyOf } from '../../json.ts'
import type { WebhookReceived } from '../../received.ts'
import { validateInput } from '../../schema.ts'
import { instancesFedBy } from '../../tasks/links.ts'
import { type HttpResponse, httpError } from '../../http/response.ts'
import { safeHeaders, parseBody } from './body.ts'
import { webhookReceivedType, type VerifySignature, type WebhookEndpoint, type WebhookRequest } from './endpoint.ts'
import { webhookIds } from './ids.ts'
import { redactedBody } from './redacted-body.ts'
import { type SignedRequest, standardPrefix } from './signatures.ts'

export interface ActiveEndpoint {
  readonly name: string
  readonly options: WebhookEndpoint
  readonly verify: VerifySignature
}

/**
 * Verifies the signature, maps the request to an event and publishes it. `arrived`: ms since the epoch. The response says
 * that the event is on the log, or that the endpoint ignores it. @throws the error to respond with
 */
export async function receive(
  bus: Bus,
  endpoint: ActiveEndpoint,
  signed: SignedRequest,
  arrived: number,
): Promise<HttpResponse> {
  endpoint.verify(signed, arrived)
  try {
    return await publishRequest(bus, endpoint, signed, arrived)
  } catch (error) {
    // The source may ignore the response. Only signed requests get here, so others cannot fill the worker's log.
    const { code } = errorData(error, 'E_INTERNAL')
    log.warn?.({ endpoint: endpoint.name, code }, 'rejected a webhook')
    throw error
  }
}

async function publishRequest(
  bus: Bus,
  { name, options }: ActiveEndpoint,
  { headers, bytes }: SignedRequest,
  arrived: number,
) {
  const parsed = parseBody(bytes, headers['content-type'], options.scheme === 'github')
  const request: WebhookRequest = { headers: safeHeaders(headers), body: parsed ? parsed.value : null }
  const ids = webhookIds(name, sourceIdOf(options, request), bytes)
  if (options.publishes && !parsed)
    throw httpError(415, 'content-type must be application/json or application/x-www-form-urlencoded')
  const ownEvent = await mapToOwnType(options, request)
  if (!ownEvent && options.others === 'ignore') return { status: 204 }

  await waitForBroker(bus)
  const raw = await bus.putBlob(defaultTenant, redactedBody(bus.redactor, bytes, request, ownEvent))
  const data: WebhookReceived = { endpoint: name, ...request, raw }
  const draft = {
    ...ids,
    source: '/triggers/webhook',
    subject: raw.blob,
    ...(ownEvent ?? { type: webhookReceivedType, data }),
  }
  const ingress = {
    name: `POST /hooks/${name}`,
    at: arrived,
    caller: headers.traceparent as string | undefined,
    attributes: { [attribute.httpMethod]: 'POST', [attribute.httpRoute]: `/hooks/${name}` },
  }
  const [published] = await publishFromOutside(bus, ingress, [draft])
  const { id, correlationid, duplicate } = published!
  const linked = duplicate ? [] : await instancesFedBy(bus, [draft])
  const body = { id, correlationid, ...(duplicate && { duplicate }) }
  return { status: 202, body: linked.length > 0 ? { ...body, linked } : body }
}

/** The type and validated data of one of the types of the app; undefined if none matches. @throws 422 */
async function mapToOwnType({ publishes = [], type, scheme }: WebhookEndpoint, request: WebhookRequest) {
  const typeName = type
    ? type(copyOf(request))
    : scheme === 'github'
      ? request.headers['x-github-event']
      : fieldOf(request, 'type')
  const parsed = publishes.find(each => each.type === typeName)
  if (!parsed) return undefined
  const what = `the body does not match ${parsed.type}`
  const validated = validateInput(parsed.schema, copyOf(request.body), 'E_REQUEST_INVALID', what)
  const data = await validated.catch((error: unknown) => {
    throw error instanceof TidingsError ? httpError(422, error.message) : error
  })
  return { type: parsed.type, data }
}

/** The id that the source gave the request, which a retry repeats. @throws 400 */
function sourceIdOf({ scheme }: WebhookEndpoint, request: WebhookRequest): string | undefined {
  if (scheme === 'stripe') return requireString(fieldOf(request, 'id'), 'id of the body')
  if (scheme === 'github') return requireString(request.headers['x-github-delivery'], 'x-github-delivery')
  return request.headers[`${standardPrefix(request.headers)}-id`] || undefined
}

function requireString(id: unknown, name: string): string {
  if (typeof id !== 'string' || id === '')
    throw httpError(400, `${name} must be a non-empty string: it identifies the request`)
  return id
}

function fieldOf({ body }: WebhookRequest, name: string): unknown {
  return typeof body === 'object' && body !== null && Object.hasOwn(body, name) ? Reflect.get(body, name) : undefined
}

// Long enough for a reconnect, and shorter than any source waits for a response.
const brokerTimeoutMs = 2_000
const pollIntervalMs = 50

/**
 * Resolves when the log is usable, usually at once. A write would wait for the broker for longer than sources wait for a
 * response, and some do not retry. @throws the problem of the log
 */
async function waitForBroker(bus: Bus): Promise<void> {
  for (const deadline = performance.now() + brokerTimeoutMs; bus.problem; await pause(pollIntervalMs))
    if (performance.now() >= deadline) throw bus.problem
}
