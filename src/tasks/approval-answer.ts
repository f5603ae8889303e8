import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { answerTo } from '../bus/answer.ts'
import type { Bus } from '../bus/bus.ts'
import { decisionOf, deniedType, grantedType, type ApprovalAnswer } from './approval.ts'
import { findApproval, isOpen } from './approval-find.ts'

/** What a person says to an approval. */
export interface Answering {
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

const longestComment = 4_000

/**
 * Publishes the answer to an approval: the first one, and only while somebody waits for it. Resolves when it is on disk.
 * @throws E_NOT_FOUND, E_APPROVAL_FORBIDDEN, E_APPROVAL_CHANGED, E_APPROVAL_OVER, E_APPROVAL_ANSWERED, E_REQUEST_INVALID
 */
export async function answerApproval(bus: Bus, answering: Answering): Promise<CloudEvent<ApprovalAnswer>> {
  const { id, decision, hash, by, comment, source } = answering
  if (comment !== undefined && comment.length > longestComment)
    throw new TidingsError('E_REQUEST_INVALID', `the comment is longer than ${longestComment} characters`)
  const { request, answer: before } = await findApproval(bus, id)
  const { who, hash: asked } = request.data
  if (who && !who.includes(by))
    throw new TidingsError('E_APPROVAL_FORBIDDEN', `${by} may not answer it, but ${who.join(', ')}`)
  if (hash !== asked) throw new TidingsError('E_APPROVAL_CHANGED', `the hash of what is asked is ${asked}, not ${hash}`)
  if (before) throw answeredBefore(before)
  if (!(await isOpen(bus, request)))
    throw new TidingsError('E_APPROVAL_OVER', `${id} was withdrawn, or its time is over`)

  const data: ApprovalAnswer = { by, at: new Date().toISOString(), hash, ...(comment !== undefined && { comment }) }
  const answer = { ...answerTo(request, source, decision === 'grant' ? grantedType : deniedType, data), user: by }
  // Of two at the same moment the broker takes one. What was sent twice over a bad line is not refused.
  const { duplicate } = await bus.publish(answer)
  const stored = duplicate ? await bus.get(answer.id, request.correlationid) : undefined
  const first = stored && (await bus.resolve(stored))
  if (first && !isSame(first, answer)) throw answeredBefore(first)
  return answer as CloudEvent<ApprovalAnswer>
}

function answeredBefore(event: CloudEvent): TidingsError {
  const { approved, by, at } = decisionOf(event)
  return new TidingsError('E_APPROVAL_ANSWERED', `${by} ${approved ? 'granted' : 'denied'} it at ${at}`)
}

function isSame(a: CloudEvent, b: CloudEvent): boolean {
  const [first, second] = [decisionOf(a), decisionOf(b)]
  return a.type === b.type && first.by === second.by && first.at === second.at
}
