import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { answerTo } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import { claimId } from '../bus/ids.ts'
import {
  claimedType,
  decisionOf,
  deniedType,
  grantedType,
  type ApprovalAnswer,
  type ApprovalClaim,
  type ApprovalDecision,
} from './approval.ts'
import { checkedContent } from './approval-form.ts'
import { findApproval, isOpen } from './approval-find.ts'

/** A person's answer to a request for approval. */
export interface ApprovalReply {
  /** Id of the request. */
  readonly id: string
  readonly decision: 'grant' | 'deny'
  /** Hash of what the person was shown. */
  readonly hash: string
  /** Name of the person, as proved by a credential. */
  readonly by: string
  /** At most 4,000 characters. */
  readonly comment?: string
  /** What the person filled in, if they grant a request with a form. */
  readonly content?: unknown
  /** The `source` of the published answer, such as `/gateway`. */
  readonly source: string
}

const maxCommentLength = 4_000

/**
 * Publishes the first answer to a request, if a task still waits for it. Resolves when the answer is durable.
 * @throws E_NOT_FOUND, E_APPROVAL_FORBIDDEN, E_APPROVAL_CHANGED, E_APPROVAL_OVER, E_APPROVAL_ANSWERED, E_REQUEST_INVALID
 * @example
 * await answerApproval(running.bus, { id: call, decision: 'grant', hash, by: 'ann', source: '/my-desk' })
 */
export async function answerApproval(bus: Bus, answering: ApprovalReply): Promise<CloudEvent<ApprovalAnswer>> {
  const { id, decision, hash, by, comment, content: entered, source } = answering
  if (comment !== undefined && comment.length > maxCommentLength)
    throw new TidingsError(
      'E_REQUEST_INVALID',
      `the comment has ${comment.length} characters; the maximum is ${maxCommentLength}`,
    )
  const { request, answer, claim: before } = await findApproval(bus, id)
  const { who: approvers, hash: asked, form } = request.data
  if (approvers && !approvers.includes(by))
    throw new TidingsError(
      'E_APPROVAL_FORBIDDEN',
      `"${by}" is not an approver of this request; approvers: ${approvers.join(', ')}`,
    )
  if (hash !== asked)
    throw new TidingsError(
      'E_APPROVAL_CHANGED',
      `the answer has hash ${hash}, but the request has ${asked}: read the request again and answer what it shows`,
    )
  if (answer) throw alreadyAnswered(decisionOf(answer))
  const content = decision === 'grant' ? checkedContent(form, entered) : undefined
  if (!(await isOpen(bus, request))) {
    // Another answer may have arrived since, and its task may have continued.
    const { answer: other } = await findApproval(bus, id)
    if (other) throw alreadyAnswered(decisionOf(other))
    throw new TidingsError('E_APPROVAL_OVER', `the request ${id} was cancelled or its deadline has passed`)
  }

  const fields = {
    decision,
    by,
    at: new Date(bus.now()).toISOString(),
    hash,
    ...(comment !== undefined && { comment }),
    ...(content !== undefined && { content }),
  }
  const claim = before ?? (await claimAnswer(bus, request, source, fields))
  const given = answerOf(request, claim)
  await bus.publish(given)
  const { data } = claim
  if (data.by !== by || data.at !== fields.at || data.decision !== decision) throw alreadyAnswered(decisionOf(given))
  return given
}

/**
 * Of two simultaneous answers the broker stores one claim, and both processes read which. The answer alone is not enough: a worker may
 * receive what its own process publishes before the broker reports a duplicate id.
 */
async function claimAnswer(bus: Bus, request: CloudEvent, source: string, data: ApprovalClaim) {
  const { call: _, target: __, ...claim } = answerTo(request, source, claimedType, data)
  const { id, correlationid } = await bus.publish({ ...claim, id: claimId(request.id), user: data.by })
  const first = await bus.get(id, correlationid)
  if (!first)
    throw new TidingsError('E_LOG_UNANSWERED', `the claim of request ${request.id} was stored but cannot be read`, {
      retryable: true,
    })
  return (await bus.resolve(first)) as CloudEvent<ApprovalClaim>
}

/** The answer event, which is the same in every process that publishes it. */
function answerOf(request: CloudEvent, { source, data: { decision, ...data } }: CloudEvent<ApprovalClaim>) {
  const answer = answerTo(request, source, decision === 'grant' ? grantedType : deniedType, data)
  return { ...answer, user: data.by } as CloudEvent<ApprovalAnswer>
}

const alreadyAnswered = ({ approved, by, at }: ApprovalDecision) =>
  new TidingsError('E_APPROVAL_ANSWERED', `${by} ${approved ? 'granted' : 'denied'} the request at ${at}`, {
    data: { by, decision: approved ? 'grant' : 'deny', at },
  })
