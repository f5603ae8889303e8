import { TidingsError } from '../errors.ts'
import { assertName } from '../pattern.ts'
import type { CloudEvent } from '../event.ts'

/*
 * Asking a person is a call like any other: `approval.requested` waits for `approval.granted` or `approval.denied`. What is
 * approved is named by its hash, which the answer repeats: nobody approves what he was not shown.
 */

export const approvalType = 'approval.requested'
export const grantedType = 'approval.granted'
export const deniedType = 'approval.denied'
/** Says whose answer holds, before it is given. */
export const claimedType = 'approval.claimed'
export const approvalTypes: readonly string[] = [approvalType, grantedType, deniedType]

/** Data of `approval.requested`. */
export interface ApprovalRequest {
  /** Who may answer; absent: whoever has an identity. */
  readonly who?: readonly string[]
  /** What is to be approved, as a person should see it: `{ input }`, or `{ tool, input }`. */
  readonly what: unknown
  /** Of `what`, as it is on the log. The turn that asks adds it. */
  readonly hash: string
}

/** Data of `approval.granted` and `approval.denied`. */
export interface ApprovalAnswer {
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
  /** That of the request. */
  readonly hash: string
  readonly comment?: string
}

/** Data of `approval.claimed`. */
export interface ApprovalClaim extends ApprovalAnswer {
  readonly decision: 'grant' | 'deny'
}

/** What whoever asked gets to know. */
export interface ApprovalDecision {
  readonly approved: boolean
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
  readonly comment?: string
}

/** A person, or one of several, who may be asked by name: `ctx.call(approval('editor'), draft, { within: '2d' })`. */
export interface Approval<Input = unknown> {
  readonly kind: 'approval'
  readonly name: string
  readonly approvers?: readonly string[]
  /** For the compiler only. */
  readonly '~types'?: { input: (input: Input) => void; output: ApprovalDecision }
}

export interface ApprovalOptions {
  /** Names of those who may answer. Default: whoever has an identity. */
  approvers?: readonly string[]
}

/** A role that approves, under its name, dotted lower-case words. @throws E_APP_INVALID */
export function approval<Input = unknown>(name: string, { approvers: who }: ApprovalOptions = {}): Approval<Input> {
  assertName(name, 'the name of an approval')
  return { kind: 'approval', name, ...(who && { approvers: checkedApprovers(who, `the approval ${name}`) }) }
}

/** @throws E_APP_INVALID where nobody could answer */
export function checkedApprovers(who: readonly string[], what: string): readonly string[] {
  if (!Array.isArray(who) || who.length === 0 || !who.every(isName))
    throw new TidingsError('E_APP_INVALID', `${what} names nobody who may answer: give names, or leave them out`)
  return who
}

/** The call that asks. Its turn adds the hash of `what`. */
export function approvalRequest({
  name,
  approvers,
  what,
}: {
  name: string
  approvers?: readonly string[] | undefined
  what: unknown
}) {
  return { type: approvalType, target: name, data: { ...(approvers && { who: approvers }), what } }
}

/** Whoever may publish on a broker may publish anything under this type. */
export function isApprovalRequest(data: unknown): data is ApprovalRequest {
  const { who, hash } = (data ?? {}) as Partial<ApprovalRequest>
  return typeof hash === 'string' && (who === undefined || (Array.isArray(who) && who.every(isName)))
}

/** What an answer says. */
export function decisionOf({ type, data }: Pick<CloudEvent, 'type' | 'data'>): ApprovalDecision {
  const { by, at, comment } = data as ApprovalAnswer
  return { approved: type === grantedType, by, at, ...(comment !== undefined && { comment }) }
}

const isName = (name: unknown) => typeof name === 'string' && name !== ''
