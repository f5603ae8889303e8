import type { Bus } from '../../bus/bus.ts'
import { beginning } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import { readByTime } from '../../bus/read-by-time.ts'
import { TidingsError } from '../../errors.ts'
import { approvalTypes } from '../../tasks/approval.ts'
import { answerApproval } from '../../tasks/approval-answer.ts'
import { PendingApprovals, type OpenApproval } from '../../tasks/approval-list.ts'

const maxListed = 1_000

/** The response to an answered approval. */
export interface AcceptedDecision {
  id: string
  decision: 'grant' | 'deny'
  by: string
  /** RFC 3339, in UTC. */
  at: string
}

/** Lists and answers the open approvals of a log. */
export class ApprovalService {
  readonly #bus: Bus
  readonly #pending = new PendingApprovals()
  #readUpTo: Cursor = beginning
  #reading: Promise<void> = Promise.resolve()

  constructor(bus: Bus) {
    this.#bus = bus
    bus.onEmptied(() => {
      this.#pending.clear()
      this.#readUpTo = beginning
    })
  }

  /** The open approvals that this person may answer, oldest first. Reads the part of the log that is new since the last call. */
  async openFor(name: string): Promise<OpenApproval[]> {
    await (this.#reading = this.#reading.catch(() => {}).then(() => this.#read()))
    const open = await this.#pending.open(this.#bus)
    return open.filter(({ approvers }) => approvers === undefined || approvers.includes(name)).slice(0, maxListed)
  }

  /** @throws E_REQUEST_INVALID, and as {@link answerApproval} */
  async answer(id: string, by: string, body: unknown): Promise<AcceptedDecision> {
    const { decision, hash, comment } = parseBody(body)
    const answer = { id, decision, hash, by, source: '/gateway', ...(comment !== undefined && { comment }) }
    const { data } = await answerApproval(this.#bus, answer)
    return { id, decision, by, at: data.at }
  }

  async #read(): Promise<void> {
    const head = await this.#bus.head()
    const filter = [{ types: approvalTypes }]
    for await (const { event } of readByTime(this.#bus, { after: this.#readUpTo, until: head, filter }))
      this.#pending.add(event)
    this.#readUpTo = head
  }
}

interface ApprovalAnswerBody {
  decision: 'grant' | 'deny'
  hash: string
  comment?: string
}

function parseBody(body: unknown): ApprovalAnswerBody {
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
