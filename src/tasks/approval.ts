import { TidingsError } from '../errors.ts'
import { assertName } from '../pattern.ts'
import type { CloudEvent } from '../event.ts'

/*
 * A request for approval is a call to a person: `approval.requested` is answered by `approval.granted` or `approval.denied`. The answer
 * repeats the hash of what the person was shown, so that an approval cannot be used for anything else.
 */

export const approvalType = 'approval.requested'
export const grantedType = 'approval.granted'
export const deniedType = 'approval.denied'
/** Published before the answer; decides whose answer counts. */
export const claimedType = 'approval.claimed'
export const approvalTypes: readonly string[] = [approvalType, grantedType, deniedType]

/** Data of `approval.requested`. */
export interface ApprovalRequest {
  /** Names of the approvers. Absent: everyone with an identity. Options call it `approvers`; the log keeps this name. */
  readonly who?: readonly string[]
  /** What is to be approved, as a person sees it: `{ input }`, or `{ tool, input }`. */
  readonly what: unknown
  /** Hash of `what` as it is on the log. The turn that makes the request adds it. */
  readonly hash: string
}

/** Data of `approval.granted` and `approval.denied`. */
export interface ApprovalAnswer {
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
  readonly hash: string
  readonly comment?: string
}

/** Data of `approval.claimed`. */
export interface ApprovalClaim extends ApprovalAnswer {
  readonly decision: 'grant' | 'deny'
}

/** The result of a call to an approver. */
export interface ApprovalDecision {
  readonly approved: boolean
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
  readonly comment?: string
}

/** A role that people hold, which can be called: `ctx.call(approval('editor'), draft, { within: '2d' })`. */
export interface Approval<Input = unknown> {
  readonly kind: 'approval'
  readonly name: string
  readonly approvers?: readonly string[]
  /** For the compiler only. */
  readonly '~types'?: { input: (input: Input) => void; output: ApprovalDecision }
}

/** Who may answer a request for approval. */
export interface ApprovalOptions {
  /** Names of those who may answer. Default: everyone with an identity. */
  approvers?: readonly string[]
}

/**
 * Declares an approver role. The name consists of dotted lower-case words.
 * @throws E_APP_INVALID
 * @example
 * const editor = approval<{ title: string }>('editor', { approvers: ['ann', 'bob'] })
 * const { approved, by } = await ctx.call(editor, { title: 'The tides' }, { within: '2d' })
 */
export function approval<Input = unknown>(name: string, { approvers }: ApprovalOptions = {}): Approval<Input> {
  assertName(name, 'the name of an approval')
  return { kind: 'approval', name, ...(approvers && { approvers: checkedApprovers(approvers, `approval "${name}"`) }) }
}

/** @throws E_APP_INVALID if the list has no names */
export function checkedApprovers(approvers: readonly string[], what: string): readonly string[] {
  if (!isNameList(approvers) || approvers.length === 0)
    throw new TidingsError(
      'E_APP_INVALID',
      `the approvers of ${what} must be a list of at least one name: add names, or leave the option out to let everyone answer`,
    )
  return approvers
}

/** The request as a call. Its turn adds the hash of `what`. */
export function approvalRequest(name: string, what: unknown, approvers: readonly string[] | undefined) {
  return { type: approvalType, target: name, data: { ...(approvers && { who: approvers }), what } }
}

/** Checked because any client of the broker can publish data of any form under this type. */
export function isApprovalRequest(data: unknown): data is ApprovalRequest {
  const { who, hash } = (data ?? {}) as Partial<ApprovalRequest>
  return typeof hash === 'string' && (who === undefined || isNameList(who))
}

export function decisionOf({ type, data }: Pick<CloudEvent, 'type' | 'data'>): ApprovalDecision {
  const { by, at, comment } = data as ApprovalAnswer
  return { approved: type === grantedType, by, at, ...(comment !== undefined && { comment }) }
}

const isNameList = (list: unknown): list is readonly string[] =>
  Array.isArray(list) && list.every(name => typeof name === 'string' && name !== '')
