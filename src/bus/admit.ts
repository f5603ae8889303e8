import { TidingsError } from '../errors.ts'
import type { Draft } from '../event.ts'
import { checkDraft } from './decode.ts'
import { correlationOf, isReservedId } from './ids.ts'

// What the runtime says to itself. Of it, the outside may only ask an agent for something, and withdraw that.
const runtimeFamilies = /^(agent|approval|call|control|model|schedule|task|timer|tool|workflow)(\.|$)/
const requests = new Set(['agent.invoke', 'agent.cancel'])

export const belongsToRuntime = (type: string): boolean => runtimeFamilies.test(type)

/**
 * What an edge lets in: a draft that the outside may publish, stamped with the edge as its source. Tenant and user come
 * from the edge too, never from the body. @throws E_EVENT_INVALID
 */
export function admit(value: unknown, source: string): Draft {
  const draft: Draft = { ...checkDraft(value), source, tenant: 'default' }
  if (!belongsToRuntime(draft.type)) return draft
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
