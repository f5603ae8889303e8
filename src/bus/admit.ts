import { TidingsError } from '../errors.ts'
import { defaultTenant, type Draft } from '../event.ts'
import { checkDraft } from './decode.ts'
import { correlationOf, isTaskDerivedId, maxOutsideId, tenantId } from './ids.ts'

// Event types of the runtime. From outside, only requests to agents, messages to them and their cancellation are accepted.
const runtimeFamilies =
  /^(agent|approval|call|control|http|mcp|model|operation|schedule|step|strangler|tap|task|timer|tool|workflow)(\.|$)/
const requests = new Set(['agent.invoke', 'agent.cancel', 'agent.message'])

/** The only field that the data of a request from outside may have. The runtime adds others, such as the conversation that it continues. */
const requestData: Readonly<Record<string, string>> = {
  'agent.invoke': 'input',
  'agent.message': 'message',
  'agent.cancel': 'reason',
}

/** Types that only triggers publish, because their data is evidence, such as who signed a mail. */
const triggers: Readonly<Record<string, string>> = {
  'email.received': 'smtp()',
  'file.changed': 'files()',
  'file.created': 'files()',
  'file.removed': 'files()',
  'kafka.received': 'kafka()',
  'kafka.rejected': 'kafka()',
  'mqtt.received': 'mqtt()',
  'schedule.fired': 'schedule()',
  'webhook.received': 'webhook()',
}

export const isRuntimeType = (type: string): boolean => runtimeFamilies.test(type)

/** Whether only the runtime may publish this type: all of its types except requests and messages to agents. */
export const isReservedType = (type: string): boolean => isRuntimeType(type) && !requests.has(type)

/** Where a draft from outside comes from. */
export interface EventOrigin {
  /** The `source` of its events. */
  readonly source: string
  /** Default: `default`. */
  readonly tenant?: string
  readonly user?: string | undefined
  /** Its users can write to the log directly, so they may also publish the types of triggers, to test subscribers. */
  readonly isOperator?: boolean
}

/**
 * Checks a draft from outside and sets its source, tenant and user, which never come from the body. An id belongs to its tenant.
 * @throws E_EVENT_INVALID
 */
export function admit(
  value: unknown,
  { source, tenant = defaultTenant, user, isOperator = false }: EventOrigin,
): Draft {
  const checked = checkDraft(value)
  const id = checked.id === undefined ? {} : { id: outsideId(tenant, checked.id) }
  const draft: Draft = { ...checked, ...id, source, tenant, ...(user !== undefined && { user }) }
  if (isOperator && Object.hasOwn(triggers, draft.type)) return draft
  if (!requests.has(draft.type)) {
    assertCustomType(draft.type)
    return draft
  }
  if (!draft.target) throw invalid('target', `must be the name of the agent that ${draft.type} is for`)
  const addressed = draft.type === 'agent.invoke' ? draft : { ...draft, correlationid: correlationOfTask(draft) }
  assertRequestData(draft, isOperator)
  return addressed
}

function assertRequestData({ type, data }: Draft, isOperator: boolean): void {
  const field = requestData[type]!
  const fields = typeof data === 'object' && data !== null ? Object.keys(data) : []
  if (type !== 'agent.cancel' && !fields.includes(field)) throw invalid('data', `must be { "${field}": … }`)
  const other = isOperator ? undefined : fields.find(name => name !== field)
  if (other !== undefined)
    throw invalid('data', `may have only "${field}": ${JSON.stringify(other.slice(0, 64))} is set by the runtime`)
}

/** Checks that an outside publisher may use this type. @throws E_EVENT_INVALID */
export function assertCustomType(type: string): void {
  if (Object.hasOwn(triggers, type))
    throw invalid('type', `"${type}" is reserved for the trigger ${triggers[type]}: use a type of your own`)
  if (isRuntimeType(type)) throw invalid('type', `"${type}" is reserved for the runtime: use a type of your own`)
}

/** The id on the log of what a tenant calls `id`, so that no tenant can take the id of another one. */
function outsideId(tenant: string, id: string): string {
  const whole = tenant === defaultTenant ? id : tenantId(tenant, id)
  if (whole.length <= maxOutsideId) return whole
  throw invalid('id', `must be text of 1 to ${maxOutsideId - whole.length + id.length} characters`)
}

// A cancellation or a message reaches its task only in the shard of the task's correlation.
function correlationOfTask({ subject, correlationid }: Draft): string {
  if (!subject || !isTaskDerivedId(subject) || subject.includes(':'))
    throw invalid('subject', 'must be the id of the task')
  const ofTask = correlationOf(subject)
  if (correlationid !== undefined && correlationid !== ofTask)
    throw invalid('correlationid', 'must be that of the task')
  return ofTask
}

const invalid = (name: string, problem: string) => new TidingsError('E_EVENT_INVALID', `attribute "${name}" ${problem}`)
