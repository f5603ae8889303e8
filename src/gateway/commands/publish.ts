import { randomUUIDv7 } from 'node:crypto'
import { admit } from '../../bus/admit.ts'
import type { Bus } from '../../bus/bus.ts'
import { publishFromOutside, type IngressSource } from '../../bus/ingress.ts'
import { attribute } from '../../bus/telemetry/names.ts'
import { assertHosted } from '../../tasks/hosts.ts'
import { instancesFedBy } from '../../tasks/links.ts'

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

/**
 * Publishes events from outside. Those that name neither an id nor a correlation share one, because a request is one user action. An event
 * with an id gets the same correlation in every request, so that it can be repeated in any batch.
 * @throws E_EVENT_INVALID, E_NOT_FOUND, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE
 */
export async function publishEvents(
  bus: Bus,
  events: readonly unknown[],
  request: Pick<IngressSource, 'caller' | 'at'>,
): Promise<PublishResponse> {
  const shared = randomUUIDv7()
  const drafts = events.map(event => {
    const draft = admit(event, edge)
    return draft.id === undefined ? { correlationid: shared, ...draft } : draft
  })
  await assertHosted(bus, drafts)
  const published = await publishFromOutside(bus, { name: 'POST /events', attributes, ...request }, drafts)
  const linked = await instancesFedBy(
    bus,
    drafts.filter((_, i) => !published[i]!.duplicate),
  )
  const correlationids = published.map(({ correlationid }) => correlationid)
  const duplicates = published.filter(({ duplicate }) => duplicate).map(({ id }) => id)
  return {
    correlationid: correlationids[0]!,
    ...(new Set(correlationids).size > 1 && { correlationids }),
    ids: published.map(({ id }) => id),
    ...(duplicates.length > 0 && { duplicates }),
    ...(linked.length > 0 && { linked }),
  }
}

const edge = { source: '/gateway' }
const attributes = { [attribute.httpMethod]: 'POST', [attribute.httpRoute]: '/events' }
