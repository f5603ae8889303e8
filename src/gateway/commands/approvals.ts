import { TidingsError } from '../../errors.ts'

/** The body of a person's answer to a request for approval. */
export interface ApprovalAnswerBody {
  decision: 'grant' | 'deny'
  hash: string
  comment?: string
}

/** @throws E_REQUEST_INVALID */
export function parseAnswer(body: unknown): ApprovalAnswerBody {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalidBody('the body', 'must be an object')
  for (const name of Object.keys(body)) if (!knownNames.has(name)) throw invalidBody(JSON.stringify(name), 'is unknown')
  const { decision, hash, comment } = body as Partial<ApprovalAnswerBody>
  if (decision !== 'grant' && decision !== 'deny') throw invalidBody('"decision"', 'must be "grant" or "deny"')
  if (typeof hash !== 'string') throw invalidBody('"hash"', 'must be the hash of the approval that was shown')
  if (comment !== undefined && typeof comment !== 'string') throw invalidBody('"comment"', 'must be a string')
  return { decision, hash, ...(comment !== undefined && { comment }) }
}

const knownNames = new Set(['decision', 'hash', 'comment'])
const invalidBody = (what: string, problem: string) => new TidingsError('E_REQUEST_INVALID', `${what} ${problem}`)
