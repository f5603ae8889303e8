import { TidingsError } from '../errors.ts'
import type { Draft } from '../event.ts'
import { checkDraft } from './decode.ts'
import { correlationOf, isTaskDerivedId } from './ids.ts'

// What the runtime says to itself. Of it, the outside may only ask an agent for something, and withdraw that.
const runtimeFamilies = /^(agent|approval|call|control|model|schedule|task|timer|tool|workflow)(\.|$)/
const requests = new Set(['agent.invoke', 'agent.cancel'])

/** What says that a trigger saw it: its data is evidence, such as who signed a mail. */
const triggers: Readonly<Record<string, string>> = {
  'email.received': 'smtp()',
  'file.changed': 'files()',
  'file.created': 'files()',
  'file.removed': 'files()',
  'mqtt.received': 'mqtt()',
  'schedule.fired': 'schedule()',
  'webhook.received': 'webhook()',
}

export const isRuntimeType = (type: string): boolean => runtimeFamilies.test(type)

/** What only the runtime may say: all of its types but the requests that anybody may make of an agent. */
export const isReservedType = (type: string): boolean => isRuntimeType(type) && !requests.has(type)

/** Where an event from outside comes in. */
export interface Ingress {
  /** What its events get as their source. */
  readonly source: string
  /** Who comes in here can write to the log anyway, and may try out what listens to a trigger. */
  readonly isOperator?: boolean
}

/**
 * What an edge lets in: a draft that the outside may publish, stamped with the edge as its source. Tenant and user come
 * from the edge too, never from the body. @throws E_EVENT_INVALID
 */
export function admit(value: unknown, { source, isOperator = false }: Ingress): Draft {
  const draft: Draft = { ...checkDraft(value), source, tenant: 'default' }
  if (isOperator && Object.hasOwn(triggers, draft.type)) return draft
  if (!requests.has(draft.type)) {
    assertCustomType(draft.type)
    return draft
  }
  if (!draft.target) throw invalid('target', `must name the agent that ${draft.type} is for`)
  if (draft.type === 'agent.cancel') return { ...draft, correlationid: correlationOfTask(draft) }
  if (typeof draft.data !== 'object' || draft.data === null || !Object.hasOwn(draft.data, 'input'))
    throw invalid('data', 'must be { "input": … }')
  return draft
}

/** What a trigger may publish in place of its own type, and anybody outside. @throws E_EVENT_INVALID */
export function assertCustomType(type: string): void {
  if (Object.hasOwn(triggers, type))
    throw invalid('type', `${type} is published by the trigger ${triggers[type]} only: use a type of your own`)
  if (isRuntimeType(type)) throw invalid('type', `${type} belongs to the runtime and cannot be sent`)
}

// A cancellation finds its task only in the shard of the task's correlation.
function correlationOfTask({ subject, correlationid }: Draft): string {
  if (!subject || !isTaskDerivedId(subject) || subject.includes(':'))
    throw invalid('subject', 'must be the id of the task')
  const ofTask = correlationOf(subject)
  if (correlationid !== undefined && correlationid !== ofTask)
    throw invalid('correlationid', 'must be that of the task')
  return ofTask
}

const invalid = (name: string, problem: string) => new TidingsError('E_EVENT_INVALID', `attribute "${name}" ${problem}`)
