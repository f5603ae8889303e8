import { randomUUIDv7 } from 'node:crypto'
import { Hono } from 'hono'
import { z } from 'zod'
import { planOnce } from '../../ask/idempotency.ts'
import type { Bus } from '../../bus/bus.ts'
import { correlationOf, isCorrelation, isTaskId, resultId } from '../../bus/ids.ts'
import { publishFromOutside } from '../../bus/ingress.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import type { ReplaySummary } from '../../replay/summary.ts'
import { type ErrorData, notOnLog, TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { httpError } from '../../http/response.ts'
import { hostsOn } from '../../tasks/hosts.ts'
import { readNewestTurns } from '../../tasks/newest-turns.ts'
import { operationRequest, type OperationRequest } from '../../tasks/operation-request.ts'
import {
  operationCompletedType,
  operationRequestedType,
  operationTarget,
  type OperationRequested,
  type OperationResult,
} from '../../tasks/operation.ts'
import type { GatewayContext, GatewayDeps, GatewayEnv } from '../context.ts'
import { assertMay, type Principal } from '../identity/principal.ts'
import { cursor, limitUpTo, readQuery } from '../views/query.ts'
import { waitOf } from './prefer.ts'
import { bodyOf, requestKeyOf } from './request.ts'

/** An operation, as `GET /operations/ID` shows it. */
export interface OperationView {
  readonly operation: string
  readonly status: 'requested' | 'completed' | 'failed'
  readonly request: OperationRequest
  readonly user?: string
  /** RFC 3339, in UTC. */
  readonly requestedAt: string
  readonly endedAt?: string
  /** Of a completed operation. */
  readonly result?: OperationResult & Partial<ReplaySummary>
  /** Of a failed one. */
  readonly error?: ErrorData
}

const attributes = { [attribute.httpMethod]: 'POST', [attribute.httpRoute]: '/operations' }
const operationsQuery = z.strictObject({ before: cursor, limit: limitUpTo(200, 50) })

/** Commands of operators. The gateway only publishes them; a worker that hosts agents checks the policy and executes. */
export function operationRoutes({
  bus,
  client,
  index: { query },
  identity,
  maxBodyBytes,
}: GatewayDeps): Hono<GatewayEnv> {
  const viewAfterWait = async (c: GatewayContext, id: string): Promise<OperationView> => {
    const seconds = waitOf(c.req.header('prefer'))
    if (seconds !== undefined) c.header('preference-applied', 'wait')
    const view = await viewOf(bus, c.var.principal, id)
    if (view.status !== 'requested' || !seconds) return view
    await client.operationEnded(id, AbortSignal.timeout(seconds * 1_000))
    return viewOf(bus, c.var.principal, id)
  }
  return new Hono<GatewayEnv>()
    .post('/operations', async c => {
      const { principal } = c.var
      assertMay(principal, 'operate')
      const [caller, at] = [c.req.header('traceparent'), Date.now()]
      const waits = waitOf(c.req.header('prefer')) !== undefined
      const request = await bodyOf(c, operationRequest, maxBodyBytes)
      const credential = identity?.operatorCredential(principal)
      if (identity && !credential)
        throw httpError(403, 'the server knows who sends this, but the policy does not', {
          code: 'E_FORBIDDEN',
          next: 'Send an API key or a token: with a policy, only credentials of the policy give commands.',
        })
      const target = operationTarget(await appFor(bus, request))
      const { id, isRepeated } = await idFor(bus, principal, request, requestKeyOf(c))
      const { tenant, user } = principal
      const about = { id, correlationid: id, target, source: '/gateway', tenant, ...(user !== undefined && { user }) }
      const data: OperationRequested = { request, ...(credential && { credential }) }
      if (isRepeated) c.header('idempotency-replayed', 'true')
      if (!isRepeated || !(await bus.get(id, id)))
        await publishFromOutside(bus, { name: 'POST /operations', attributes, caller, at }, [
          { ...about, type: operationRequestedType, data },
        ])
      c.header('location', `operations/${id}`)
      if (!waits) return c.json({ operation: id }, 202)
      const view = await viewAfterWait(c, id)
      return c.json(view, view.status === 'requested' ? 202 : 200)
    })
    .get('/operations', async c => {
      const { principal } = c.var
      assertMay(principal, 'operate')
      const page = readQuery(c, operationsQuery)
      const reader = { tenant: principal.tenant, mayRead: () => true }
      const { events, next } = await query(each => each.events(reader, { types: [operationRequestedType] }, page))
      const found = await bus.readAt(events.map(({ position }) => position))
      const views = found.map(async stored => (stored ? [withoutLists(await viewOfRequest(bus, stored.event))] : []))
      return c.json({ operations: (await Promise.all(views)).flat(), ...(next !== undefined && { next }) })
    })
    .get('/operations/:id', async c => {
      assertMay(c.var.principal, 'operate')
      const id = c.req.param('id')
      const isId: boolean = isCorrelation(id)
      if (!isId) throw new TidingsError('E_REQUEST_INVALID', `"${id.slice(0, 80)}" is not the id of an operation`)
      return c.json(await viewAfterWait(c, id))
    })
}

/** A new id, or that of the first request with this key. @throws E_KEY_REUSED */
async function idFor(bus: Bus, { tenant, user }: Principal, request: OperationRequest, key: string | undefined) {
  const id = randomUUIDv7()
  if (key === undefined) return { id, isRepeated: false }
  const about = { tenant, user, key, operation: 'POST /operations', body: JSON.stringify(request) }
  const { plan, isRepeated } = await planOnce(bus, about, { correlationid: id, ids: [id] })
  return { id: plan.correlationid, isRepeated }
}

/** The app whose workers must execute it; undefined for any. @throws E_REQUEST_INVALID, E_NOT_FOUND */
async function appFor(bus: Bus, request: OperationRequest): Promise<string | undefined> {
  if (request.action !== 'fork' && request.action !== 'redrive' && request.action !== 'replay') return undefined
  const hosts = await hostsOn(bus)
  const apps = [...new Set(Object.values(hosts))]
  const named = 'app' in request ? request.app : undefined
  if (named !== undefined && !apps.includes(named))
    throw new TidingsError('E_NOT_FOUND', `no worker on this log has ever run the app "${named}"`)
  const agent = 'tasks' in request ? request.tasks?.agent : undefined
  const program = request.task === undefined ? agent : await programOf(bus, request.task)
  const app = named ?? (program === undefined ? undefined : hosts[program]) ?? (apps.length === 1 ? apps[0] : undefined)
  if (app !== undefined) return app
  throw new TidingsError(
    'E_REQUEST_INVALID',
    `app: must say whose code, tools and models; the apps of this log: ${apps.join(', ') || 'none'}`,
  )
}

async function programOf(bus: Bus, task: string): Promise<string | undefined> {
  return isTaskId(task) ? (await readNewestTurns(bus, correlationOf(task))).get(task)?.program : undefined
}

/** @throws E_NOT_FOUND, also for operations of other tenants */
async function viewOf(bus: Bus, { tenant }: Principal, id: string): Promise<OperationView> {
  const asked = await bus.get(id, id)
  if (asked?.tenant !== tenant || asked.type !== operationRequestedType)
    throw notOnLog(`the log has no operation ${id}`)
  return viewOfRequest(bus, asked)
}

async function viewOfRequest(bus: Bus, asked: CloudEvent): Promise<OperationView> {
  const { id, time: requestedAt, user } = asked
  const { request } = (await bus.resolve(asked)).data as OperationRequested
  const about = { operation: id, request, requestedAt, ...(user !== undefined && { user }) }
  const answer = await bus.get(resultId(id), id)
  if (!answer) return { ...about, status: 'requested' }
  const { data } = await bus.resolve(answer)
  const ended = { ...about, endedAt: answer.time }
  return answer.type === operationCompletedType
    ? { ...ended, status: 'completed', result: data as OperationResult }
    : { ...ended, status: 'failed', error: (data as { error: ErrorData }).error }
}

/** As a list shows it: the counts of a result, and its first task or correlation to look at. */
function withoutLists({ result, ...view }: OperationView): OperationView {
  if (!result) return view
  const { divergences: _, skipped: __, refusals: ___, ids, started, ...counts } = result
  return { ...view, result: { ...counts, ids: ids.slice(0, 1), ...(started && { started: started.slice(0, 1) }) } }
}
