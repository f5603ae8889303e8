import { randomUUIDv7 } from 'node:crypto'
import { admit } from '../bus/admit.ts'
import type { Bus, PublishedEvent } from '../bus/bus.ts'
import { correlationFrom, taskId } from '../bus/ids.ts'
import { publishFromOutside } from '../bus/ingress.ts'
import { TidingsError } from '../errors.ts'
import { checkedData, defaultTenant, type CloudEvent, type Draft, type EventType } from '../event.ts'
import { aDuration, aText, optionsOf, type Check } from '../options.ts'
import { askTarget } from '../tasks/asked.ts'
import { deadlineFrom, type Duration } from '../tasks/duration.ts'
import { assertHosted } from '../tasks/hosts.ts'
import type { Callable } from '../tasks/script-context.ts'
import { Answers } from './answers.ts'
import { CorrelationFeed } from './feed.ts'
import { TaskHandle } from './handle.ts'
import { threadConversation, threadCorrelation } from './thread.ts'

/** What can be asked: what `agent()` and `workflow()` return. */
export interface Askable<Input = unknown, Output = unknown> extends Callable<Input, Output> {
  readonly kind: 'agent' | 'workflow'
}

/** Options of one request. */
export interface AskOptions {
  /** Name of a conversation. Its requests share one correlation, and a model agent remembers those that it has answered. */
  thread?: string
  /** A second request of the same target with this key is the same request: it starts nothing, and has the same result. */
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

const origin = { source: '/app' }

const checkOptions = optionsOf({
  thread: aText,
  idempotencyKey: aText,
  user: aText,
  deadline: aDuration,
} satisfies Record<keyof AskOptions, Check>)

/** Asks agents and workflows on a log, from a process that may host none of them. */
export class Client {
  readonly #bus: Bus
  readonly #answers: Answers
  readonly #feed: CorrelationFeed
  /** Names that are known to be hosted, so that only the first request reads the document. */
  readonly #hosted = new Set<string>()

  constructor(bus: Bus) {
    this.#bus = bus
    this.#answers = new Answers(bus)
    this.#feed = new CorrelationFeed(bus)
  }

  /**
   * Requests a task of an agent or workflow. Resolves when the request is durable; the result comes with the handle.
   * @throws E_NOT_FOUND if no worker ever hosted the target, E_EVENT_INVALID, E_EVENT_TOO_LARGE, E_LOG_UNAVAILABLE
   * @example
   * const handle = await running.ask(helper, 'When is the shop open?')
   * console.log(await handle.result({ within: '2m' }))
   */
  readonly ask = async <Input, Output>(
    target: Askable<Input, Output> | string,
    input: Input,
    options: AskOptions = {},
  ): Promise<TaskHandle<Output>> => {
    const problem = checkOptions(options)
    if (problem !== undefined) throw new TidingsError('E_REQUEST_INVALID', `ask(): ${problem}`)
    const program = programOf(target)
    if (!this.#hosted.has(program)) await assertHosted(this.#bus, [{ type: 'agent.invoke', target: program }])
    this.#hosted.add(program)
    await this.#answers.start()
    const { thread, deadline } = options
    const until = deadline === undefined ? null : deadlineFrom(this.#bus.now(), deadline)
    const correlation = thread === undefined ? undefined : threadCorrelation(thread)
    const conversation = correlation && (await threadConversation(this.#bus, correlation, program))
    const draft = requestDraft(
      program,
      { input, ...(conversation && { conversation }) },
      {
        ...options,
        correlation,
        until,
      },
    )
    const id = taskId(draft.correlationid, program, draft.id)
    const end = this.#answers.expect(id)
    const [published] = await publishFromOutside(this.#bus, { name: `ask ${program}`, at: Date.now() }, [draft])
    // A broker forgets old ids, so a repeated request may look like a new one.
    const isRepeated =
      options.idempotencyKey !== undefined && (published!.duplicate || (await hasJournal(this.#bus, id)))
    return this.#handle(id, { program, end: isRepeated ? this.#answers.find(id) : end })
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
      origin,
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
    this.#answers.close()
    this.#feed.close()
  }

  #handle<Output>(id: string, asked?: { program: string; end?: Promise<CloudEvent> }): TaskHandle<Output> {
    const shared = { bus: this.#bus, answers: this.#answers, feed: this.#feed }
    return new TaskHandle({ ...shared, id, ...(asked && { asked }) })
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

type RequestOptions = AskOptions & { readonly correlation: string | undefined; readonly until: number | null }

/** The request. Its id is its correlation too, unless it belongs to a thread. */
function requestDraft(
  target: string,
  data: { readonly input: unknown },
  { thread, idempotencyKey, user, correlation, until }: RequestOptions,
) {
  const id =
    idempotencyKey === undefined
      ? randomUUIDv7()
      : correlationFrom(JSON.stringify([defaultTenant, 'ask', target, thread, idempotencyKey]))
  return {
    id,
    type: 'agent.invoke',
    source: '/ask',
    target,
    replyto: askTarget,
    correlationid: correlation ?? id,
    ...(user !== undefined && { user }),
    ...(until !== null && { deadline: new Date(until).toISOString() }),
    data,
  } satisfies Draft
}

async function hasJournal(bus: Bus, task: string): Promise<boolean> {
  const { snapshot, records } = await bus.journal(task)
  return snapshot !== undefined || records.length > 0
}
