import { TidingsError } from '../errors.ts'
import { aList, aSchema, checkOptions, type Check } from '../options.ts'
import { assertName } from '../pattern.ts'
import type { CloudEvent } from '../event.ts'
import type { JsonSchema, Schema } from '../schema.ts'
import { approvalFormOf } from './approval-form.ts'

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
  /** JSON Schema of the fields that the person fills in, if there are some. */
  readonly form?: JsonSchema
}

/** Data of `approval.granted` and `approval.denied`. */
export interface ApprovalAnswer {
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
  readonly hash: string
  readonly comment?: string
  /** Of one who granted a request with a form: what they filled in. */
  readonly content?: Readonly<Record<string, unknown>>
}

/** Data of `approval.claimed`. */
export interface ApprovalClaim extends ApprovalAnswer {
  readonly decision: 'grant' | 'deny'
}

/** The result of a call to an approver. `Content`: what the person filled in, if there is a form and they granted. */
export interface ApprovalDecision<Content = unknown> {
  readonly approved: boolean
  readonly content?: Content
  readonly by: string
  /** RFC 3339, in UTC. */
  readonly at: string
  readonly comment?: string
}

/** A role that people hold, which can be called: `ctx.call(approval('editor'), draft, { within: '2d' })`. */
export interface Approval<Input = unknown, Content = unknown> {
  readonly kind: 'approval'
  readonly name: string
  readonly approvers?: readonly string[]
  readonly form?: JsonSchema
  /** For the compiler only. */
  readonly '~types'?: { input: (input: Input) => void; output: ApprovalDecision<Content> }
}

/** Who may answer a request for approval, and with what. */
export interface ApprovalOptions<Content = unknown> {
  /** Names of those who may answer. Default: everyone with an identity. */
  approvers?: readonly string[]
  /**
   * Schema of an object that a person fills in to grant the request: texts, numbers, flags, choices. The `content` of the decision has what they
   * entered. A question that needs no decision is a form too: who declines it denies.
   */
  form?: Schema<unknown, Content>
}

const checks = { approvers: aList, form: aSchema } satisfies Record<keyof ApprovalOptions, Check>

/**
 * Declares an approver role. The name consists of dotted lower-case words.
 * @throws E_APP_INVALID
 * @example
 * const editor = approval<{ title: string }>('editor', { approvers: ['ann', 'bob'] })
 * const { approved, by } = await ctx.call(editor, { title: 'The tides' }, { within: '2d' })
 * @example
 * const delivery = approval('delivery', { form: z.object({ day: z.enum(['Friday', 'Monday']), note: z.string().optional() }) })
 * const { content } = await ctx.call(delivery, 'When shall we bring it?')
 */
export function approval<Input = unknown, Content = unknown>(
  name: string,
  options: ApprovalOptions<Content> = {},
): Approval<Input, Content> {
  assertName(name, 'the name of an approval')
  checkOptions(`approval "${name}"`, options, checks, [])
  const { approvers, form } = options
  return {
    kind: 'approval',
    name,
    ...(approvers && { approvers: checkedApprovers(approvers, `approval "${name}"`) }),
    ...(form && { form: approvalFormOf(form, `approval "${name}"`) }),
  }
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
export function approvalRequest(
  name: string,
  what: unknown,
  { approvers, form }: Pick<Approval, 'approvers' | 'form'>,
) {
  return {
    type: approvalType,
    target: name,
    data: { ...(approvers && { who: approvers }), what, ...(form && { form }) },
  }
}

/** Checked because any client of the broker can publish data of any form under this type. */
export function isApprovalRequest(data: unknown): data is ApprovalRequest {
  const { who, hash } = (data ?? {}) as Partial<ApprovalRequest>
  return typeof hash === 'string' && (who === undefined || isNameList(who))
}

export function decisionOf({ type, data }: Pick<CloudEvent, 'type' | 'data'>): ApprovalDecision {
  const { by, at, comment, content } = data as ApprovalAnswer
  const said = { ...(comment !== undefined && { comment }), ...(content !== undefined && { content }) }
  return { approved: type === grantedType, by, at, ...said }
}

const isNameList = (list: unknown): list is readonly string[] =>
  Array.isArray(list) && list.every(name => typeof name === 'string' && name !== '')
