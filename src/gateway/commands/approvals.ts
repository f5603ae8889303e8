import type { Bus } from '../../bus/bus.ts'
import { TidingsError } from '../../errors.ts'
import { httpError } from '../../http/response.ts'
import { answerApproval } from '../../tasks/approval-answer.ts'
import { findApproval, notAnApproval } from '../../tasks/approval-find.ts'
import type { AcceptedDecision } from '../../tasks/approval-service.ts'
import type { OpenApproval } from '../../tasks/approval-list.ts'
import { assertMay, type Principal } from '../identity/principal.ts'

/** The name in which this principal answers approvals. @throws 403 E_CREDENTIAL_UNKNOWN, E_FORBIDDEN */
export function personOf(principal: Principal): string {
  const { user } = principal
  if (user === undefined)
    throw httpError(403, 'approvals cannot be answered over HTTP here, because nobody is identified', {
      code: 'E_CREDENTIAL_UNKNOWN',
      next: 'Open the console at the address that the worker printed, use tidings approve, or set TIDINGS_POLICY.',
    })
  assertMay(principal, 'approve')
  return user
}

/** Whether an approval is of the tenant of this principal, and of a kind that it may answer. */
export const mayAnswer = (principal: Principal) => (request: OpenApproval) =>
  request.tenant === principal.tenant && principal.may('approve', request.name)

/** @throws E_NOT_FOUND, also for an approval of another tenant, E_FORBIDDEN */
export async function assertMayAnswer(bus: Bus, principal: Principal, id: string): Promise<void> {
  const { request } = await findApproval(bus, id)
  if (request.tenant !== principal.tenant) throw notAnApproval(id)
  assertMay(principal, 'approve', request.target)
}

/** A person's answer to a request for approval, as the protocol of a user interface carries it. */
export interface PostedAnswer {
  readonly id: string
  readonly approved: boolean
  readonly hash: string
  readonly comment?: string
}

const settled: ReadonlySet<string> = new Set(['E_APPROVAL_ANSWERED', 'E_APPROVAL_OVER'])

/**
 * Answers a request for approval for this principal. One that was answered before, or is over, stays as it is: the stream of the task shows it.
 * @throws 403 E_CREDENTIAL_UNKNOWN, E_FORBIDDEN, E_NOT_FOUND, and as `answerApproval`
 */
export async function answerOnce(
  bus: Bus,
  principal: Principal,
  { id, approved, hash, comment }: PostedAnswer,
): Promise<void> {
  const by = personOf(principal)
  await assertMayAnswer(bus, principal, id)
  const decision = approved ? 'grant' : 'deny'
  const about = { id, decision, hash, by, source: '/gateway', ...(comment !== undefined && { comment }) } as const
  await answerApproval(bus, about).catch(error => {
    if (!(error instanceof TidingsError) || !settled.has(error.code)) throw error
  })
}

/** The answer that came before the one that this error refuses. */
export function earlierDecision(error: unknown, id: string): AcceptedDecision | undefined {
  if (!(error instanceof TidingsError) || error.code !== 'E_APPROVAL_ANSWERED') return undefined
  return { id, ...error.data } as AcceptedDecision
}

/** The body of a person's answer to a request for approval. */
export interface ApprovalAnswerBody {
  decision: 'grant' | 'deny'
  hash: string
  comment?: string
  content?: unknown
}

/** @throws E_REQUEST_INVALID */
export function parseAnswer(body: unknown): ApprovalAnswerBody {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalidBody('the body', 'must be an object')
  for (const name of Object.keys(body)) if (!knownNames.has(name)) throw invalidBody(JSON.stringify(name), 'is unknown')
  const { decision, hash, comment, content } = body as Partial<ApprovalAnswerBody>
  if (decision !== 'grant' && decision !== 'deny') throw invalidBody('"decision"', 'must be "grant" or "deny"')
  if (typeof hash !== 'string') throw invalidBody('"hash"', 'must be the hash of the approval that was shown')
  if (comment !== undefined && typeof comment !== 'string') throw invalidBody('"comment"', 'must be a string')
  return { decision, hash, ...(comment !== undefined && { comment }), ...(content !== undefined && { content }) }
}

const knownNames = new Set(['decision', 'hash', 'comment', 'content'])
const invalidBody = (what: string, problem: string) => new TidingsError('E_REQUEST_INVALID', `${what} ${problem}`)
