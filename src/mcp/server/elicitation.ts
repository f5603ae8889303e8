import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
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
}

/** What a person did with the form. Source: MCP 2025-11-25, client/elicitation. */
export interface FormAnswer {
  readonly action: 'accept' | 'decline' | 'cancel'
  readonly content?: { readonly decision?: unknown; readonly comment?: unknown }
}

/** Whether the person at the client may answer. */
export const mayAnswerForm = (caller: McpCaller, { name, approvers }: WaitingApproval): boolean =>
  caller.user !== undefined &&
  caller.may('approve', name) &&
  (approvers === undefined || approvers.includes(caller.user))

const keyPrefix = 'approval:'

export const formKey = ({ id, hash }: WaitingApproval): string => `${keyPrefix}${hash}:${id}`

/** The request and the hash that a key names. */
export function parseFormKey(key: unknown): { readonly id: string; readonly hash: string } | undefined {
  if (typeof key !== 'string' || !key.startsWith(keyPrefix)) return undefined
  const [hash = '', ...id] = key.slice(keyPrefix.length).split(':')
  return { id: id.join(':'), hash }
}

/** The parameters of `elicitation/create`. */
export function approvalForm({ name, what }: WaitingApproval) {
  return {
    mode: 'form' as const,
    message: `"${name}" must be approved:\n${JSON.stringify(what, null, 2)}`,
    requestedSchema: {
      type: 'object' as const,
      properties: {
        decision: { type: 'string' as const, title: 'Decision', enum: ['grant', 'deny'] },
        comment: { type: 'string' as const, title: 'Comment', maxLength: 4_000 },
      },
      required: ['decision'],
    },
  }
}

const settled: ReadonlySet<string> = new Set(['E_APPROVAL_ANSWERED', 'E_APPROVAL_OVER'])

/**
 * Publishes the answer in a form. Declining it denies; dismissing it answers nothing. `answered`: false if the person must be asked
 * again, or does not want to answer. A request that is over stays as it is.
 * @throws E_NOT_FOUND, also for an approval of another tenant, E_FORBIDDEN, E_APPROVAL_FORBIDDEN, E_APPROVAL_CHANGED
 */
export async function answerForm(
  bus: Bus,
  caller: McpCaller,
  { id, hash }: { readonly id: string; readonly hash: string },
  answer: FormAnswer,
): Promise<'answered' | 'dismissed' | 'invalid'> {
  if (answer.action === 'cancel') return 'dismissed'
  const { decision, comment } = answer.action === 'accept' ? (answer.content ?? {}) : { decision: 'deny' }
  if (decision !== 'grant' && decision !== 'deny') return 'invalid'
  const { request } = await findApproval(bus, id)
  if (request.tenant !== caller.tenant) throw notAnApproval(id)
  const by = caller.user
  if (by === undefined || !caller.may('approve', request.target))
    throw new TidingsError(
      'E_FORBIDDEN',
      `${by === undefined ? 'this client' : `"${by}"`} may not approve ${request.target}`,
    )
  const text = typeof comment === 'string' && comment !== '' ? { comment } : {}
  await answerApproval(bus, { id, decision, hash, by, source: '/mcp', ...text }).catch(error => {
    if (!(error instanceof TidingsError) || !settled.has(error.code)) throw error
  })
  return 'answered'
}
