import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import { approvalTypes } from '../tasks/approval.ts'
import { answerApproval } from '../tasks/approval-answer.ts'
import { PendingApprovals, type OpenApproval } from '../tasks/approval-list.ts'

/** Most that are listed at once. */
const listed = 1_000

/** What was answered. */
export interface AcceptedDecision {
  id: string
  decision: 'grant' | 'deny'
  by: string
  /** RFC 3339, in UTC. */
  at: string
}

/** The approvals of a log, for those who may answer them. */
export class ApprovalService {
  readonly #bus: Bus
  readonly #pending = new PendingApprovals()
  /** Up to here the log was read. */
  #seen: Position = 0
  #reading: Promise<void> = Promise.resolve()

  constructor(bus: Bus) {
    this.#bus = bus
    bus.driver.onEmptied?.(() => {
      this.#pending.clear()
      this.#seen = 0
    })
  }

  /** What waits for this person, or for anybody; the oldest first. Reads what is new on the log since it was asked last. */
  async openFor(name: string): Promise<OpenApproval[]> {
    await (this.#reading = this.#reading.catch(() => {}).then(() => this.#read()))
    const open = await this.#pending.open(this.#bus)
    return open.filter(({ who }) => who === undefined || who.includes(name)).slice(0, listed)
  }

  /** @throws E_REQUEST_INVALID, and as {@link answerApproval} */
  async answer(id: string, by: string, body: unknown): Promise<AcceptedDecision> {
    const { decision, hash, comment } = checked(body)
    const said = { id, decision, hash, by, source: '/gateway', ...(comment !== undefined && { comment }) }
    const { data } = await answerApproval(this.#bus, said)
    return { id, decision, by, at: data.at }
  }

  async #read(): Promise<void> {
    const head = await this.#bus.driver.head()
    const filter = [{ types: approvalTypes }]
    for await (const { event } of this.#bus.read({ after: this.#seen, until: head, filter })) this.#pending.add(event)
    this.#seen = head
  }
}

interface Body {
  decision: 'grant' | 'deny'
  hash: string
  comment?: string
}

function checked(body: unknown): Body {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('the body', 'must be an object')
  for (const name of Object.keys(body)) if (!members.has(name)) throw invalid(JSON.stringify(name), 'is unknown')
  const { decision, hash, comment } = body as Partial<Body>
  if (decision !== 'grant' && decision !== 'deny') throw invalid('"decision"', 'must be "grant" or "deny"')
  if (typeof hash !== 'string') throw invalid('"hash"', 'must be that of what was shown')
  if (comment !== undefined && typeof comment !== 'string') throw invalid('"comment"', 'must be text')
  return { decision, hash, ...(comment !== undefined && { comment }) }
}

const members = new Set(['decision', 'hash', 'comment'])
const invalid = (what: string, problem: string) => new TidingsError('E_REQUEST_INVALID', `${what} ${problem}`)
