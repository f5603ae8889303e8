import type { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { anObject, aText, optionsOf, type Check } from '../options.ts'
import type { OpenApproval } from '../tasks/approval-list.ts'
import { ApprovalService, type AcceptedDecision } from '../tasks/approval-service.ts'

/** A person's answer to a request for approval. */
export interface ApprovalAnswerOptions {
  /** Name of the person, as your server knows it: it is compared with the approvers of the request, and recorded. */
  by: string
  /** The `hash` of the request that the person was shown. The answer counts for exactly that. */
  hash: string
  /** At most 4,000 characters. */
  comment?: string
  /** To approve a request with a form: what the person filled in. */
  content?: Readonly<Record<string, unknown>>
}

const checkAnswer = optionsOf(
  { by: aText, hash: aText, comment: aText, content: anObject } satisfies Record<keyof ApprovalAnswerOptions, Check>,
  ['by', 'hash'],
)

/**
 * Lists the requests for approval of a log, and answers them for the people that a server of the app knows.
 * @example const open = await running.approvals()
 */
export class ApprovalClient {
  readonly #service: ApprovalService

  constructor(bus: Bus) {
    this.#service = new ApprovalService(bus)
  }

  /**
   * The requests for approval that wait for a person, oldest first, at most 1,000. `by`: only those that this person may answer.
   * @throws E_LOG_UNAVAILABLE
   * @example
   * for (const { id, name, what, hash } of await running.approvals({ by: 'ann' })) show({ id, name, what, hash })
   */
  readonly approvals = ({ by }: { by?: string } = {}): Promise<OpenApproval[]> => this.#service.open(by)

  /**
   * Grants a request for approval in the name of a person, who was shown it. Your server decides who that is: nothing else checks it. Resolves
   * when the answer is durable. `id`: of the request, which is the `call` of an `approval` part of a stream.
   * @throws E_NOT_FOUND, E_APPROVAL_FORBIDDEN, E_APPROVAL_CHANGED, E_APPROVAL_ANSWERED, E_APPROVAL_OVER
   * @example
   * const [request] = await running.approvals({ by: 'ann' })
   * if (request) await running.approve(request.id, { by: 'ann', hash: request.hash })
   */
  readonly approve = (id: string, answer: ApprovalAnswerOptions): Promise<AcceptedDecision> =>
    this.#decide('grant', id, answer)

  /**
   * Denies a request for approval in the name of a person: see `approve`.
   * @example
   * const [request] = await running.approvals({ by: 'ann' })
   * if (request) await running.deny(request.id, { by: 'ann', hash: request.hash, comment: 'Too high.' })
   */
  readonly deny = (id: string, answer: ApprovalAnswerOptions): Promise<AcceptedDecision> =>
    this.#decide('deny', id, answer)

  async #decide(decision: 'grant' | 'deny', id: string, answer: ApprovalAnswerOptions): Promise<AcceptedDecision> {
    const problem = checkAnswer(answer)
    if (problem !== undefined)
      throw new TidingsError('E_REQUEST_INVALID', `${decision === 'grant' ? 'approve' : 'deny'}(): ${problem}`)
    return this.#service.answer({ id, decision, ...answer, source: '/app' })
  }
}
