import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import type { JsonSchema } from '../../schema.ts'
import { answerApproval } from '../../tasks/approval-answer.ts'
import { findApproval, notAnApproval } from '../../tasks/approval-find.ts'
import type { McpCaller } from './caller.ts'

/*
 * A request for approval as a form in the MCP client. The key of the form names the request and the hash of what the form shows, so that
 * any gateway can take the answer, which counts for exactly that:
 *
 *     approval.requested ─▶ elicitation/create, or input_required ─▶ the form ─▶ approval.granted or approval.denied
 */

/** A request for approval that a task waits for. */
export interface WaitingApproval {
  readonly id: string
  readonly name: string
  readonly what: unknown
  readonly hash: string
  readonly approvers?: readonly string[]
  readonly form?: JsonSchema
}

/** A form in a client: the request, and the hash of what the form shows. */
export type ShownForm = Pick<WaitingApproval, 'id' | 'hash'>

/** What a person did with the form. Source: MCP 2025-11-25, client/elicitation. */
export interface FormAnswer {
  readonly action: 'accept' | 'decline' | 'cancel'
  readonly content?: Readonly<Record<string, unknown>>
}

/** Whether the person at the client may answer. */
export const mayAnswerForm = (caller: McpCaller, { name, approvers }: WaitingApproval): boolean =>
  caller.user !== undefined &&
  caller.may('approve', name) &&
  (approvers === undefined || approvers.includes(caller.user))

const keyPrefix = 'approval:'

export const formKey = ({ id, hash }: ShownForm): string => `${keyPrefix}${hash}:${id}`

/** The request and the hash that a key names. */
export function parseFormKey(key: unknown): ShownForm | undefined {
  if (typeof key !== 'string' || !key.startsWith(keyPrefix)) return undefined
  const [hash = '', ...id] = key.slice(keyPrefix.length).split(':')
  return { id: id.join(':'), hash }
}

/** The parameters of `elicitation/create`. A form of the app has its own fields; a request without one is granted or denied. */
export function approvalForm({ name, what, form }: WaitingApproval) {
  const { input = what } = (what ?? {}) as { input?: unknown }
  const shown =
    form && typeof input === 'string' ? input : `"${name}" must be approved:\n${JSON.stringify(what, null, 2)}`
  return { mode: 'form' as const, message: shown, requestedSchema: (form ?? decisionForm) as typeof decisionForm }
}

const decisionForm = {
  type: 'object' as const,
  properties: {
    decision: { type: 'string' as const, title: 'Decision', enum: ['grant', 'deny'] },
    comment: { type: 'string' as const, title: 'Comment', maxLength: 4_000 },
  },
  required: ['decision'],
}

export const formRequest = (approval: WaitingApproval) => ({
  method: 'elicitation/create' as const,
  params: approvalForm(approval),
})

const settled: ReadonlySet<string> = new Set(['E_APPROVAL_ANSWERED', 'E_APPROVAL_OVER'])

/**
 * Publishes the answer in a form. Declining it denies; dismissing it answers nothing. `invalid`: the person must be asked again. A request that is
 * over stays as it is.
 * @throws E_NOT_FOUND, also for an approval of another tenant, E_FORBIDDEN, E_APPROVAL_FORBIDDEN, E_APPROVAL_CHANGED
 */
export async function answerForm(
  bus: Bus,
  caller: McpCaller,
  { id, hash }: ShownForm,
  { action, content = {} }: FormAnswer,
): Promise<'answered' | 'dismissed' | 'invalid'> {
  if (action === 'cancel') return 'dismissed'
  const { request } = await findApproval(bus, id)
  if (request.tenant !== caller.tenant) throw notAnApproval(id)
  const by = caller.user
  if (by === undefined || !caller.may('approve', request.target))
    throw new TidingsError(
      'E_FORBIDDEN',
      `${by === undefined ? 'this client' : `"${by}"`} may not approve ${request.target}`,
    )
  const isAccepted = action === 'accept'
  const own = isAccepted && request.data.form ? { content } : {}
  const { decision, comment } = !isAccepted ? { decision: 'deny' } : request.data.form ? { decision: 'grant' } : content
  if (decision !== 'grant' && decision !== 'deny') return 'invalid'
  const text = typeof comment === 'string' && comment !== '' ? { comment } : {}
  try {
    await answerApproval(bus, { id, decision, hash, by, source: '/mcp', ...text, ...own })
  } catch (error) {
    if (!(error instanceof TidingsError)) throw error
    if (error.code === 'E_REQUEST_INVALID') return 'invalid'
    if (!settled.has(error.code)) throw error
  }
  return 'answered'
}
