import { Hono, type Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Bus } from '../bus/bus.ts'
import type { Redactor } from '../bus/redact.ts'
import { prometheusText, prometheusType } from '../bus/telemetry/prometheus.ts'
import { errorResponse, httpError } from '../http/response.ts'
import { ApprovalService } from './approvals.ts'
import type { Approvers } from './approvers.ts'
import { readEvents, readJsonBody } from './body.ts'
import { assertAllowed, type OriginPolicy } from './origin-policy.ts'
import { HealthCheck } from './health.ts'
import { publishEvents } from './publish.ts'
import { readStreamRequest } from './stream-request.ts'
import type { Streams } from './streams.ts'

type Env = { Bindings: HttpBindings }

const methods: Record<string, string> = {
  '/health': 'GET',
  '/events': 'POST',
  '/events/stream': 'GET',
  '/metrics': 'GET',
  '/approvals': 'GET',
}
const paths = Object.entries(methods)
  .map(([path, method]) => `${method} ${path}`)
  .join(', ')
const maxAnswerBodyBytes = 64 * 1024

export interface GatewayDeps {
  readonly streams: Streams
  readonly originPolicy: OriginPolicy
  readonly approvers: Approvers
  readonly maxBodyBytes: number
}

/** The routes of the gateway. */
export function routes(bus: Bus, { streams, originPolicy, approvers, maxBodyBytes }: GatewayDeps): Hono<Env> {
  const { redactor } = bus
  const health = new HealthCheck(bus)
  const approvals = new ApprovalService(bus)
  const approverOf = ({ req, env }: Context<Env>) =>
    approvers.identify(req.header('authorization'), env.incoming.socket.remoteAddress ?? '')
  const app = new Hono<Env>()

  app.use((c, next) => {
    assertAllowed(originPolicy, c.req.header('host'), c.req.header('origin'))
    return next()
  })

  app.get('/health', async c => {
    const found = await health.check()
    return found.status === 'ok' ? c.json(found) : c.json(found, 503, { 'retry-after': '1' })
  })

  app.get('/metrics', async c => c.body(await prometheusText(), 200, { 'content-type': prometheusType }))

  app.post('/events', async c => {
    const request = { caller: c.req.header('traceparent'), at: Date.now() }
    return c.json(await publishEvents(bus, await readEvents(c.env.incoming, maxBodyBytes), request), 202)
  })

  app.get('/events/stream', async c => {
    // Hono answers HEAD by the route of GET, and this one would never end.
    if (c.env.incoming.method !== 'GET') return notFound(redactor, c)
    await streams.open(readStreamRequest(c.req.queries(), c.req.header('last-event-id')), c.env.outgoing)
    return RESPONSE_ALREADY_SENT
  })

  app.get('/approvals', async c => c.json({ approvals: await approvals.openFor(await approverOf(c)) }))

  app.post('/approvals/:id', async c => {
    const by = await approverOf(c)
    return c.json(await approvals.answer(c.req.param('id'), by, await readJsonBody(c.env.incoming, maxAnswerBodyBytes)))
  })

  app.notFound(c => notFound(redactor, c))
  app.onError((error, c) => respond(redactor, c, error))
  return app
}

function notFound(redactor: Redactor, c: Context<Env>) {
  const { path } = c.req
  const allow = methods[path] ?? (/^\/approvals\/[^/]+$/.test(path) ? 'POST' : undefined)
  if (allow) return respond(redactor, c, httpError(405, `${path} accepts only ${allow}`), { allow })
  const text = `${path.slice(0, 80)} does not exist; expected ${paths}`
  return respond(redactor, c, httpError(404, text, { code: 'E_NOT_FOUND', next: 'Correct the path of the request.' }))
}

const extraHeaders: Partial<Record<number, Record<string, string>>> = {
  401: { 'www-authenticate': 'Bearer' },
  // The rest of the body is not read, so the connection cannot be used again.
  413: { connection: 'close' },
}

function respond(redactor: Redactor, c: Context<Env>, error: unknown, more: Record<string, string> = {}) {
  const { status, body, headers } = errorResponse(error, redactor)
  return c.json(body, status as ContentfulStatusCode, { ...headers, ...extraHeaders[status], ...more })
}
