import { randomUUIDv7 } from 'node:crypto'
import { admit } from '../../bus/admit.ts'
import { planOnce, type PlannedRequest } from '../../ask/idempotency.ts'
import type { Bus } from '../../bus/bus.ts'
import { correlationFor } from '../../bus/ids.ts'
import { publishFromOutside, type IngressSource } from '../../bus/ingress.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import type { Draft } from '../../event.ts'
import { assertHosted } from '../../tasks/hosts.ts'
import { instancesFedBy } from '../../tasks/links.ts'
import { assertOwn } from '../identity/ownership.ts'
import { anyone, assertMay, type Principal } from '../identity/principal.ts'

/** The body of the 202 response. `correlationid` is that of the first event. */
export interface PublishResponse {
  correlationid: string
  /** In the order sent, where they differ. */
  correlationids?: string[]
  ids: string[]
  /** Ids that were on the log before; nothing was written for them. */
  duplicates?: string[]
  /** Correlations of the workflow instances that these events feed by key. */
  linked?: string[]
}

/** The ids of events that name none. */
export interface EventPlan extends PlannedRequest {
  readonly isRepeated: boolean
}

type PublishRequest = Pick<IngressSource, 'caller' | 'at'> & { readonly plan: EventPlan }

/** The events that this principal sends, with its tenant and user. @throws E_EVENT_INVALID, E_FORBIDDEN, E_NOT_FOUND, E_LOG_UNAVAILABLE */
export async function admitEvents(bus: Bus, events: readonly unknown[], principal: Principal): Promise<Draft[]> {
  const { tenant, user } = principal
  const drafts = events.map(event => admit(event, { source: '/gateway', tenant, user }))
  for (const { type } of drafts) assertMay(principal, 'publish', type)
  if (principal !== anyone) await assertOwn(bus, tenant, drafts)
  return drafts
}

/** New ids, or those of the first request with this key. @throws E_KEY_REUSED */
export async function eventPlan(
  bus: Bus,
  { tenant, user }: Principal,
  events: readonly unknown[],
  key: string | undefined,
  operation = 'POST /events',
): Promise<EventPlan> {
  const fresh = { correlationid: randomUUIDv7(), ids: events.map(() => randomUUIDv7()) }
  if (key === undefined) return { ...fresh, isRepeated: false }
  const request = { tenant, user, key, operation, body: JSON.stringify(events) }
  const { plan, isRepeated } = await planOnce(bus, request, fresh)
  return { ...plan, isRepeated }
}

/**
 * Publishes events from outside. Those that name neither an id nor a correlation share one, because a request is one user action. An event
 * with an id gets the same correlation in every request, so that it can be repeated in any batch.
 * @throws E_EVENT_INVALID, E_NOT_FOUND, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE
 */
export async function publishEvents(
  bus: Bus,
  admitted: readonly Draft[],
  { plan, ...request }: PublishRequest,
): Promise<PublishResponse> {
  const drafts = admitted.map((draft, i) =>
    draft.id === undefined ? { correlationid: plan.correlationid, ...draft, id: plan.ids[i]! } : draft,
  )
  await assertHosted(bus, drafts)
  const missing = plan.isRepeated ? await missingOf(bus, drafts) : drafts
  const source = { name: 'POST /events', attributes, ...request }
  const published = missing.length > 0 ? await publishFromOutside(bus, source, missing) : []
  const byId = new Map(published.map(each => [each.id, each]))
  const linked = await instancesFedBy(
    bus,
    drafts.filter(({ id }) => !byId.get(id!)?.duplicate),
  )
  const correlationids = drafts.map(draft => byId.get(draft.id!)?.correlationid ?? correlationFor(draft))
  const duplicates = published.filter(({ duplicate }) => duplicate).map(({ id }) => id)
  return {
    correlationid: correlationids[0]!,
    ...(new Set(correlationids).size > 1 && { correlationids }),
    ids: drafts.map(({ id }) => id!),
    ...(duplicates.length > 0 && { duplicates }),
    ...(linked.length > 0 && { linked }),
  }
}

/** The drafts that are not on the log. */
async function missingOf(bus: Bus, drafts: readonly Draft[]): Promise<Draft[]> {
  const missing: Draft[] = []
  for (const draft of drafts) if (!(await bus.get(draft.id!, correlationFor(draft)))) missing.push(draft)
  return missing
}

const attributes = { [attribute.httpMethod]: 'POST', [attribute.httpRoute]: '/events' }
