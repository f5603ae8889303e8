import { randomUUIDv7 } from 'node:crypto'
import { admit } from '../bus/admit.ts'
import type { Bus } from '../bus/bus.ts'

/** The 202 answer. `correlationid` is that of the first event. */
export interface Accepted {
  correlationid: string
  ids: string[]
  /** Ids that were on the log already; nothing was written for them. */
  duplicates?: string[]
}

/**
 * Publishes what came from outside, all or nothing. Events that name no correlation share one: a request is one user
 * action. @throws E_EVENT_INVALID, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE
 */
export async function publish(bus: Bus, events: readonly unknown[]): Promise<Accepted> {
  const shared = randomUUIDv7()
  const drafts = events.map(event => ({ correlationid: shared, ...admit(event, '/gateway') }))
  const published = await bus.publishAll(drafts)
  const duplicates = published.filter(({ duplicate }) => duplicate).map(({ id }) => id)
  return {
    correlationid: published[0]!.correlationid,
    ids: published.map(({ id }) => id),
    ...(duplicates.length > 0 && { duplicates }),
  }
}
