import type { Bus } from '../bus/bus.ts'
import { beginning } from '../bus/cursor.ts'
import type { Cursor } from '../bus/driver.ts'
import { readByTime } from '../bus/read-by-time.ts'
import { approvalTypes } from './approval.ts'
import { answerApproval, type ApprovalReply } from './approval-answer.ts'
import { PendingApprovals, type OpenApproval } from './approval-list.ts'

const maxListed = 1_000

/** The answer to a request for approval that counts. */
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

  /**
   * The open approvals, oldest first, at most 1,000. `by`: only those that name this person or nobody. `matches`: only these. Reads the part of
   * the log that is new since the last call.
   */
  async open(by?: string, matches: (request: OpenApproval) => boolean = () => true): Promise<OpenApproval[]> {
    await (this.#reading = this.#reading.catch(() => {}).then(() => this.#read()))
    const open = await this.#pending.open(this.#bus)
    const mine = ({ approvers }: OpenApproval) => by === undefined || approvers === undefined || approvers.includes(by)
    return open.filter(request => mine(request) && matches(request)).slice(0, maxListed)
  }

  /** @throws as {@link answerApproval} */
  async answer(reply: ApprovalReply): Promise<AcceptedDecision> {
    const { data } = await answerApproval(this.#bus, reply)
    const { id, decision, by } = reply
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
