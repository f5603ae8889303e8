import { setTimeout as delay } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { questionId, resultId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import { createEvent, inheritedAttributes, type CloudEvent } from '../../event.ts'
import type { JsonSchema } from '../../schema.ts'
import { approvalType, grantedType, type ApprovalAnswer } from '../../tasks/approval.ts'
import { findApproval } from '../../tasks/approval-find.ts'
import { fieldsOf, formProblem } from '../../tasks/approval-form.ts'
import { digest } from '../../tasks/turn.ts'

/*
 * What a server wants to know while one of its tools runs, as a request for approval with a form. The tool waits for the answer, which may come from
 * anywhere: the console, the command line, a chat, or a client of MCP.
 *
 *     elicitation/create, or input_required ─▶ approval.requested ─▶ approval.granted or approval.denied ─▶ accept or decline
 */

/** The parameters of `elicitation/create`. */
export interface Elicitation {
  readonly mode?: string
  readonly message?: string
  readonly requestedSchema?: JsonSchema
}

/** What a person did with the form. */
export type ElicitationAnswer =
  | { readonly action: 'accept'; readonly content: Readonly<Record<string, unknown>> }
  | { readonly action: 'decline' }

/** A call of a tool during which its server asks. */
export interface AskingCall {
  readonly event: CloudEvent
  readonly server: string
  /** On its server. */
  readonly tool: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

const firstPollMs = 250
const maxPollMs = 5_000
const maxMessageChars = 4_000

/** Asks people on behalf of one call, one question after the other. */
export class CallQuestions {
  readonly #bus: Bus
  readonly #call: AskingCall
  #asked = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(bus: Bus, call: AskingCall) {
    this.#bus = bus
    this.#call = call
  }

  /** @throws E_MCP_PROTOCOL if the form cannot be shown, and the reason of the signal of the call */
  readonly ask = (elicitation: Elicitation): Promise<ElicitationAnswer> => {
    const asking = this.#last.catch(() => {}).then(() => this.#ask(elicitation))
    this.#last = asking
    return asking
  }

  async #ask({ mode = 'form', message = '', requestedSchema = {} }: Elicitation): Promise<ElicitationAnswer> {
    const { event, server, tool, signal } = this.#call
    const problem = mode === 'form' ? formProblem(requestedSchema) : `its mode is "${mode.slice(0, 20)}"`
    if (problem !== undefined)
      throw new TidingsError(
        'E_MCP_PROTOCOL',
        `the MCP server "${server}" asks for a form that cannot be shown: ${problem}`,
      )
    const what = { server, tool, question: message.slice(0, maxMessageChars) }
    const form = fieldsOf(requestedSchema)
    const id = await this.#request(what, form)
    for (let pollMs = firstPollMs; ; pollMs = Math.min(maxPollMs, pollMs * 1.5)) {
      const answer = await this.#bus.get(resultId(id), event.correlationid)
      if (answer) return answered(form, await this.#bus.resolve(answer))
      await delay(pollMs, undefined, { signal })
    }
  }

  /** Publishes the request. A run that repeats another one finds its requests, and those that are not the same come after them. */
  async #request(what: unknown, form: JsonSchema): Promise<string> {
    const { event, timeoutMs } = this.#call
    const name = event.target!
    const hash = digest(this.#bus.redactor.value(what))
    const until = new Date(this.#bus.now() + timeoutMs).toISOString()
    for (;;) {
      const id = questionId(event.id, ++this.#asked)
      const request = createEvent({
        type: approvalType,
        target: name,
        data: { what, hash, form },
        id,
        source: `/tools/${name}`,
        ...inheritedAttributes(event),
        causationid: event.id,
        hops: event.hops,
        replyto: name,
        deadline: event.deadline !== undefined && event.deadline < until ? event.deadline : until,
      })
      await this.#bus.publishEncoded(await this.#bus.encodeAll([request]))
      if ((await findApproval(this.#bus, id)).request.data.hash === hash) return id
    }
  }
}

function answered({ properties = {} }: JsonSchema, { type, data }: CloudEvent): ElicitationAnswer {
  if (type !== grantedType) return { action: 'decline' }
  // A field that the person leaves out has its default, as in every form.
  const defaults = Object.entries(properties as Record<string, JsonSchema>).flatMap(([name, field]) =>
    'default' in field ? [[name, field.default]] : [],
  )
  return { action: 'accept', content: { ...Object.fromEntries(defaults), ...(data as ApprovalAnswer).content } }
}
