import { randomUUIDv7 } from 'node:crypto'
import type { Bus, Published } from '../bus/bus.ts'
import { checkDraft } from '../bus/decode.ts'
import { correlationOf, isReservedId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { Draft } from '../event.ts'

// What the runtime says to itself. Of it, the outside may only ask an agent for something, and withdraw that.
const runtimeFamilies = /^(agent|call|control|model|task|timer|tool)(\.|$)/
const requests = new Set(['agent.invoke', 'agent.cancel'])

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
  const drafts = events.map(event => stamp(admit(checkDraft(event)), shared))
  const published = await bus.publishAll(drafts)
  const duplicates = published.filter(({ duplicate }) => duplicate).map(({ id }) => id)
  return {
    correlationid: await correlationOfFirst(bus, published[0]!),
    ids: published.map(({ id }) => id),
    ...(duplicates.length > 0 && { duplicates }),
  }
}

// Source, tenant and user come from the edge, never from the body.
const stamp = (draft: Draft, correlationid: string): Draft => ({
  correlationid,
  ...draft,
  source: '/gateway',
  tenant: 'default',
})

/** The correlation to follow: of an event that was there before, the one that it had then. */
async function correlationOfFirst(bus: Bus, { id, correlationid, duplicate }: Published): Promise<string> {
  return (duplicate ? await bus.get(id) : undefined)?.correlationid ?? correlationid
}

function admit(draft: Draft): Draft {
  if (!runtimeFamilies.test(draft.type)) return draft
  if (!requests.has(draft.type)) throw invalid('type', `${draft.type} belongs to the runtime and cannot be sent`)
  if (!draft.target) throw invalid('target', `must name the agent that ${draft.type} is for`)
  if (draft.type === 'agent.cancel') return { ...draft, correlationid: correlationOfTask(draft) }
  if (typeof draft.data !== 'object' || draft.data === null || !Object.hasOwn(draft.data, 'input'))
    throw invalid('data', 'must be { "input": … }')
  return draft
}

// A cancellation finds its task only in the shard of the task's correlation.
function correlationOfTask({ subject, correlationid }: Draft): string {
  if (!subject || !isReservedId(subject) || subject.includes(':'))
    throw invalid('subject', 'must be the id of the task')
  const ofTask = correlationOf(subject)
  if (correlationid !== undefined && correlationid !== ofTask)
    throw invalid('correlationid', 'must be that of the task')
  return ofTask
}

const invalid = (name: string, problem: string) => new TidingsError('E_EVENT_INVALID', `attribute "${name}" ${problem}`)
