import { randomUUIDv7 } from 'node:crypto'
import { admit } from '../bus/admit.ts'
import type { Bus } from '../bus/bus.ts'
import { attribute } from '../bus/telemetry/names.ts'
import { traceparentFor, ingressSpan } from '../bus/telemetry/spans.ts'
import { contextOf, inSpan } from '../bus/telemetry/tracing.ts'
import { assertHosted } from '../tasks/hosts.ts'
import { instancesFedBy } from '../tasks/links.ts'

/** The 202 answer. `correlationid` is that of the first event. */
export interface PublishResponse {
  correlationid: string
  ids: string[]
  /** Ids that were on the log already; nothing was written for them. */
  duplicates?: string[]
  /** Correlations of the instances of workflows with a key that these events feed. */
  linked?: string[]
}

export interface PublishRequest {
  /** Its `traceparent` header. */
  readonly caller: string | undefined
  /** When it came, ms since the epoch. */
  readonly at: number
}

/**
 * Publishes what came from outside, all or nothing. Events that name no correlation share one: a request is one user
 * action. @throws E_EVENT_INVALID, E_NOT_FOUND, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE
 */
export async function publishEvents(
  bus: Bus,
  events: readonly unknown[],
  { caller, at }: PublishRequest,
): Promise<PublishResponse> {
  const shared = randomUUIDv7()
  const traceparent = contextOf(caller) && caller
  const drafts = events.map(event => ({ correlationid: shared, ...admit(event, edge) }))
  await assertHosted(bus, drafts)
  const published = await inSpan(
    bus.redactor,
    () =>
      ingressSpan({ name: 'POST /events', correlation: drafts[0]!.correlationid, caller: traceparent, at, attributes }),
    span => bus.publishAll(drafts.map(draft => ({ ...traceparentFor(span, { traceparent }), ...draft }))),
  )
  const linked = await instancesFedBy(
    bus,
    drafts.filter((_, i) => !published[i]!.duplicate),
  )
  const duplicates = published.filter(({ duplicate }) => duplicate).map(({ id }) => id)
  return {
    correlationid: published[0]!.correlationid,
    ids: published.map(({ id }) => id),
    ...(duplicates.length > 0 && { duplicates }),
    ...(linked.length > 0 && { linked }),
  }
}

const edge = { source: '/gateway' }
const attributes = { [attribute.httpMethod]: 'POST', [attribute.httpRoute]: '/events' }
