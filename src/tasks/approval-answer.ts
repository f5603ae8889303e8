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
import { findApproval, isOpen } from './approval-find.ts'

/** What a person says to an approval. */
export interface ApprovalReply {
  /** Of the request. */
  readonly id: string
  readonly decision: 'grant' | 'deny'
  /** Of what the person was shown. */
  readonly hash: string
  /** Whose answer it is, as a credential says. */
  readonly by: string
  /** At most 4,000 characters. */
  readonly comment?: string
  /** Where it came in, such as `/gateway`. */
  readonly source: string
}

const maxCommentLength = 4_000

/**
 * Publishes the answer to an approval: the first one, and only while somebody waits for it. Resolves when it is on disk.
 * @throws E_NOT_FOUND, E_APPROVAL_FORBIDDEN, E_APPROVAL_CHANGED, E_APPROVAL_OVER, E_APPROVAL_ANSWERED, E_REQUEST_INVALID
 */
export async function answerApproval(bus: Bus, answering: ApprovalReply): Promise<CloudEvent<ApprovalAnswer>> {
  const { id, decision, hash, by, comment, source } = answering
  if (comment !== undefined && comment.length > maxCommentLength)
    throw new TidingsError('E_REQUEST_INVALID', `the comment is longer than ${maxCommentLength} characters`)
  const { request, answer, claim: before } = await findApproval(bus, id)
  const { who, hash: asked } = request.data
  if (who && !who.includes(by))
    throw new TidingsError('E_APPROVAL_FORBIDDEN', `${by} may not answer it, but ${who.join(', ')}`)
  if (hash !== asked) throw new TidingsError('E_APPROVAL_CHANGED', `the hash of what is asked is ${asked}, not ${hash}`)
  if (answer) throw alreadyAnswered(decisionOf(answer))
  if (!(await isOpen(bus, request))) {
    // Another answer may have come since, and its task may have gone on with it.
    const { answer: other } = await findApproval(bus, id)
    if (other) throw alreadyAnswered(decisionOf(other))
    throw new TidingsError('E_APPROVAL_OVER', `${id} was withdrawn, or its time is over`)
  }

  const said = { decision, by, at: new Date().toISOString(), hash, ...(comment !== undefined && { comment }) }
  const claim = before ?? (await claimAnswer(bus, request, source, said))
  const given = answerOf(request, claim)
  await bus.publish(given)
  const { data } = claim
  if (data.by !== by || data.at !== said.at || data.decision !== decision) throw alreadyAnswered(decisionOf(given))
  return given
}

/**
 * Of two at the same moment the broker takes one claim, and both learn which. The answer alone would not do: a worker may be given
 * what its own process publishes before it turns out that the id was taken.
 */
async function claimAnswer(bus: Bus, request: CloudEvent, source: string, data: ApprovalClaim) {
  const { call: _, target: __, ...claim } = answerTo(request, source, claimedType, data)
  const { id, correlationid } = await bus.publish({ ...claim, id: claimId(request.id), user: data.by })
  const first = await bus.get(id, correlationid)
  if (!first)
    throw new TidingsError('E_LOG_UNANSWERED', `whose answer to ${request.id} holds cannot be read`, {
      retryable: true,
    })
  return (await bus.resolve(first)) as CloudEvent<ApprovalClaim>
}

/** The same whoever publishes it. */
function answerOf(request: CloudEvent, { source, data: { decision, ...data } }: CloudEvent<ApprovalClaim>) {
  const answer = answerTo(request, source, decision === 'grant' ? grantedType : deniedType, data)
  return { ...answer, user: data.by } as CloudEvent<ApprovalAnswer>
}

const alreadyAnswered = ({ approved, by, at }: ApprovalDecision) =>
  new TidingsError('E_APPROVAL_ANSWERED', `${by} ${approved ? 'granted' : 'denied'} it at ${at}`)
