import { randomUUIDv7 } from 'node:crypto'
import { admit } from '../bus/admit.ts'
import type { Bus, PublishedEvent } from '../bus/bus.ts'
import { taskId } from '../bus/ids.ts'
import { publishFromOutside } from '../bus/ingress.ts'
import { TidingsError } from '../errors.ts'
import { checkedData, type CloudEvent, type Draft, type EventType } from '../event.ts'
import { jsonOf } from '../json.ts'
import { aDuration, aText, must, optionsOf, type Check } from '../options.ts'
import { askTarget } from '../tasks/asked.ts'
import { deadlineFrom, type Duration } from '../tasks/duration.ts'
import { assertHosted } from '../tasks/hosts.ts'
import type { Callable } from '../tasks/script-context.ts'
import { AgentAdmission } from './agent-admission.ts'
import { Answers } from './answers.ts'
import { CorrelationFeed } from './feed.ts'
import { TaskHandle } from './handle.ts'
import { planOnce, type PlannedRequest } from './idempotency.ts'
import { appOrigin, type ClientOrigin } from './origin.ts'
import type { ThreadPlace } from './thread-history.ts'
import { Threads } from './threads.ts'

/** What can be asked: what `agent()` and `workflow()` return. */
export interface Askable<Input = unknown, Output = unknown> extends Callable<Input, Output> {
  readonly kind: 'agent' | 'workflow'
}

/** Options of one request. */
export interface AskOptions {
  /** Name of a conversation of the user. Its requests share one correlation, and a model agent remembers those that it has answered. */
  thread?: string
  /**
   * With `thread`: the task that this request comes after, null for the beginning. Default: the newest one. An earlier one branches the
   * conversation there, as after an edit.
   */
  after?: string | null
  /** With `thread`: the id of the message in the user interface. */
  message?: string
  /**
   * A second request of the same target with this key, within 24 hours, is the same request: it starts nothing, and has the same result. With
   * another input it is refused.
   */
  idempotencyKey?: string
  /** For whom, as a name that events carry. */
  user?: string
  /**
   * How long the task may take, counted from now. Then it is cancelled with all that it called, and a workflow undoes its steps; a task that has
   * not begun does not begin. `result` rejects with E_TASK_CANCELLED. Default: no limit.
   */
  deadline?: Duration
}

/** Attributes of a published event. */
export type PublishedAttributes = Pick<Draft, 'id' | 'subject' | 'correlationid'>

/** It is a segment of the path of a URL, where dots go up and a lone surrogate cannot be. */
const aThreadName = must(
  'a text that a URL can contain, other than "." and ".."',
  value => typeof value === 'string' && value.isWellFormed() && value !== '.' && value !== '..',
)

const checkOptions = optionsOf({
  thread: aThreadName,
  after: value => (value === null ? undefined : aText(value)),
  message: aText,
  idempotencyKey: aText,
  user: aText,
  deadline: aDuration,
} satisfies Record<keyof AskOptions, Check>)

/** Of all clients of a process on one log. */
interface SharedByClients {
  readonly answers: Answers
  readonly feed: CorrelationFeed
  readonly admission: AgentAdmission
  /** Names that are known to be hosted, so that only the first request reads the document. */
  readonly hosted: Set<string>
}

const sharedOn = (bus: Bus): SharedByClients => ({
  answers: new Answers(bus),
  feed: new CorrelationFeed(bus),
  admission: new AgentAdmission(bus),
  hosted: new Set(),
})

/** Asks agents and workflows on a log, from a process that may host none of them. */
export class Client {
  readonly #bus: Bus
  readonly #origin: ClientOrigin
  readonly #shared: SharedByClients

  /** `shared`: with the client that it was made from. */
  constructor(bus: Bus, origin = appOrigin, shared: SharedByClients = sharedOn(bus)) {
    this.#bus = bus
    this.#origin = origin
    this.#shared = shared
  }

  /** The same client on behalf of a tenant and user. It finds no task of another tenant. `close` closes both. */
  readonly as = (origin: ClientOrigin): Client => new Client(this.#bus, origin, this.#shared)

  /**
   * Requests a task of an agent or workflow. Resolves when the request is durable; the result comes with the handle.
   * @throws E_NOT_FOUND if no worker ever hosted the target, E_REQUEST_INVALID if only events start it, E_EVENT_INVALID, E_EVENT_TOO_LARGE, E_BUSY if the agent has `maxUnfinished` tasks, E_LOG_UNAVAILABLE
   * @example
   * const handle = await running.ask(helper, 'When is the shop open?')
   * console.log(await handle.result({ within: '2m' }))
   */
  readonly ask = async <Input, Output>(
    target: Askable<Input, Output> | string,
    input: Input,
    options: AskOptions = {},
  ): Promise<TaskHandle<Output>> => (await this.request(target, input, options)).handle

  /** Resolves when an operation has ended, or the signal aborts. */
  readonly operationEnded = async (operation: string, signal: AbortSignal): Promise<void> => {
    await this.#shared.answers.answerTo(operation, signal).catch(() => {})
  }

  /**
   * Like `ask`. `isRepeated`: an earlier request had the same idempotency key, or was for the same message, so this one starts nothing. `onPlanned`: called
   * before the request is published, for those who must miss nothing of the task.
   */
  async request<Input, Output>(
    target: Askable<Input, Output> | string,
    input: Input,
    options: AskOptions = {},
    onPlanned?: (handle: TaskHandle<Output>) => void,
  ): Promise<{ readonly handle: TaskHandle<Output>; readonly isRepeated: boolean }> {
    const problem = checkOptions(options)
    if (problem !== undefined) throw new TidingsError('E_REQUEST_INVALID', `ask(): ${problem}`)
    const program = programOf(target)
    const { admission, answers, hosted } = this.#shared
    if (!hosted.has(program)) await assertHosted(this.#bus, [{ type: 'agent.invoke', target: program }])
    hosted.add(program)
    await answers.start()
    const place = await this.#place(program, options)
    const { request, isRepeated } = await this.#plan(program, input, options)
    const id = taskId(request.correlationid, program, request.id)
    onPlanned?.(this.#handle(id, { program }))
    const known = isRepeated && (await this.#bus.get(request.id, request.correlationid))
    if (!known) await admission.enter(program, request.id)
    const end = isRepeated ? undefined : answers.expect(id)
    if (!known) {
      const draft = this.#draft(program, options, request, { input, ...place })
      await publishFromOutside(this.#bus, { name: `ask ${program}`, at: Date.now() }, [draft]).catch(error => {
        if (!isRepeated) answers.forget(id)
        // Whether an unanswered one was stored is not known: then it counts.
        if (!(error instanceof TidingsError && error.code === 'E_LOG_UNANSWERED')) admission.leave(program, request.id)
        throw error
      })
    }
    return { handle: this.#handle(id, { program, ...(end && { end }) }), isRepeated }
  }

  /** The ids of the request: those of the first one with its key, or of the same message. A repeated request does not open the thread. */
  async #plan(program: string, input: unknown, options: AskOptions) {
    const { thread, after, message, deadline, idempotencyKey } = options
    const { tenant, replaces, request: given } = this.#origin
    if (given) return { request: given, isRepeated: false }
    const id = randomUUIDv7()
    const { user = this.#origin.user } = options
    const open = async (): Promise<PlannedRequest> => {
      const opened = thread === undefined ? undefined : await this.#threads(options).open(thread, program, input)
      return { correlationid: opened?.correlationid ?? id, ids: [id] }
    }
    const own = idempotencyKey === undefined ? await open() : undefined
    if (own && replaces === undefined) return { request: { ...own, id }, isRepeated: false }
    const more = { after, message, deadline }
    const hasMore = Object.values(more).some(value => value !== undefined)
    const body = JSON.stringify([jsonOf(input, 'the input'), thread, ...(hasMore ? [more] : [])])
    const ofMessage = own && JSON.stringify([own.correlationid, after, message, replaces, body])
    const request = own
      ? { tenant, user, key: ofMessage!, operation: `answer ${program}`, body }
      : { tenant, user, key: idempotencyKey!, operation: `ask ${program}`, body }
    const { plan, isRepeated } = await planOnce(this.#bus, request, own ?? open)
    return { request: { id: plan.ids[0]!, correlationid: plan.correlationid }, isRepeated }
  }

  #draft(
    target: string,
    options: AskOptions,
    request: { readonly id: string; readonly correlationid: string },
    data: object,
  ) {
    const { deadline, user = this.#origin.user } = options
    const until = deadline === undefined ? null : deadlineFrom(this.#bus.now(), deadline)
    const { tools } = this.#origin
    const { id, correlationid } = request
    return {
      id,
      correlationid,
      type: 'agent.invoke',
      source: '/ask',
      tenant: this.#origin.tenant,
      target,
      replyto: askTarget,
      ...(this.#origin.request?.replay !== undefined && { replay: this.#origin.request.replay }),
      ...(user !== undefined && { user }),
      ...(until !== null && { deadline: new Date(until).toISOString() }),
      data: { ...data, ...(tools && tools.length > 0 && { tools }) },
    } satisfies Draft
  }

  #threads({ user = this.#origin.user }: AskOptions): Threads {
    return new Threads(this.#bus, { tenant: this.#origin.tenant, user })
  }

  /** Where a request stands in its thread. @throws E_NOT_FOUND if the thread has no task `after` */
  async #place(target: string, options: AskOptions) {
    const { thread, after: given, message } = options
    if (thread === undefined) return undefined
    const history = await this.#threads(options).history(thread)
    if (typeof given === 'string' && history.branch(given).length === 0)
      throw new TidingsError(
        'E_NOT_FOUND',
        `the thread has no task ${given}: pass the id of one of its tasks as \`after\``,
      )
    const conversation = await history.conversation(
      given === undefined ? (history.newest?.task ?? null) : given,
      target,
    )
    const place: ThreadPlace = {
      ...(given !== undefined && { after: given }),
      ...(message !== undefined && { message }),
    }
    return { thread: place, ...(conversation && { conversation }) }
  }

  /**
   * Publishes an event of the app, which any agent may subscribe to. Resolves when it is durable. `subject`, `id`: attributes of the event;
   * publishing the same id again has no effect.
   * @throws E_EVENT_INVALID with the path of the first fault, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE
   * @example
   * await running.publish(paid, { order: 'A-17', amount: 12 }, { id: 'payment-3301' })
   */
  readonly publish = async <Given>(
    type: EventType<unknown, Given> | string,
    data: Given,
    attributes: PublishedAttributes = {},
  ): Promise<PublishedEvent> => {
    const name = typeof type === 'string' ? type : type.type
    const draft = admit(
      { ...attributes, type: name, data: typeof type === 'string' ? data : checkedData(type, data) },
      this.#origin,
    )
    const [published] = await publishFromOutside(this.#bus, { name: `publish ${name}`, at: Date.now() }, [draft])
    return published!
  }

  /**
   * The handle of a requested task by its id, from whichever process asked. With `of`, the agent or workflow that was asked, the result has
   * its type, and tasks of others are not found. What you call on the handle rejects with E_NOT_FOUND if the log has no such task, and with
   * E_REQUEST_INVALID if this is not the id of a task.
   * @example const answer = await running.handle(handle.id, helper).result()
   */
  readonly handle = <Output = unknown>(id: string, of?: Askable<never, Output>): TaskHandle<Output> =>
    this.#handle(id, of && { program: of.name })

  /**
   * Ends the subscription. Results that are still awaited reject with E_BUS_CLOSED; their tasks go on.
   * @example client.close()
   */
  close() {
    this.#shared.answers.close()
    this.#shared.feed.close()
    this.#shared.admission.close()
  }

  #handle<Output>(id: string, asked?: { program: string; end?: Promise<CloudEvent> }): TaskHandle<Output> {
    const { answers, feed } = this.#shared
    return new TaskHandle({ bus: this.#bus, answers, feed, origin: this.#origin, id, ...(asked && { asked }) })
  }
}

function programOf(target: Askable<never, unknown> | string): string {
  if (typeof target === 'string') return target
  if (target?.kind === 'agent' || target?.kind === 'workflow') return target.name
  throw new TidingsError(
    'E_REQUEST_INVALID',
    'ask() asks agents and workflows: pass what agent() or workflow() returned, or a name',
    {
      next: 'To call a tool or a model, write an agent that calls it.',
    },
  )
}
