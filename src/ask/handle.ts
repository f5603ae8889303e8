import { randomUUIDv7 } from 'node:crypto'
import { unlessAborted } from '../bus/abort.ts'
import type { Bus } from '../bus/bus.ts'
import { maxTimerMs } from '../bus/clock.ts'
import { correlationOf, isTaskId, parseId, resultId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent, Draft } from '../event.ts'
import { askTarget, messageTakenType, messageType } from '../tasks/asked.ts'
import { eventStreamResponse } from '../http/event-stream.ts'
import { errorResponse } from '../http/response.ts'
import { deadlineFrom, type Timeout } from '../tasks/duration.ts'
import { callOutcome } from '../tasks/outcome.ts'
import { CallError } from '../tasks/script.ts'
import type { Turn } from '../tasks/program.ts'
import { readTaskState, shownStateIn } from '../tasks/task-state.ts'
import { turnType } from '../tasks/turn.ts'
import type { Answers } from './answers.ts'
import { taskFrames } from './event-stream.ts'
import type { CorrelationFeed, FeedItem } from './feed.ts'
import { PartialReader, type PartialOutput } from './partial-output.ts'
import { findTask, TaskFinder } from './find-task.ts'
import type { ClientOrigin } from './origin.ts'
import { StreamParts, type StreamPart } from './parts.ts'
import { programOfEnd } from './task-end.ts'

/** Those that arrive before the event that begins the task. */
const maxEarlySignals = 1_000

export interface HandleOptions {
  readonly bus: Bus
  readonly answers: Answers
  readonly feed: CorrelationFeed
  readonly id: string
  readonly origin: ClientOrigin
  /** What was asked. `end`: of a request that this process has just published. */
  readonly asked?: { readonly program: string; readonly end?: Promise<CloudEvent> }
}

/**
 * A task: a requested one, or one that an event started. It runs wherever a worker hosts its agent or workflow, also after this process has ended; `running.handle(id)` finds it
 * from any process on the log.
 */
export class TaskHandle<Output = unknown> {
  /** The id of the task, which `tidings show` and `tidings trace` accept too. */
  readonly id: string
  readonly #options: HandleOptions
  #end: Promise<CloudEvent> | undefined
  #program: string | undefined

  constructor(options: HandleOptions) {
    this.id = options.id
    this.#options = options
    this.#end = options.asked?.end
    // A caller that never asks for the result must not end the process when the app stops, or the log is unavailable.
    this.#end?.catch(() => {})
    this.#program = options.asked?.program
  }

  /** The correlation of the request: everything that follows from it has the same. */
  get correlation(): string {
    return correlationOf(this.id)
  }

  /**
   * The output of the task. `within`: how long to wait, default without limit; the task itself goes on.
   * @throws CallError with the code of the failure; TidingsError E_RESULT_PENDING, E_NOT_FOUND, E_BUS_CLOSED
   * @example
   * const answer = await handle.result({ within: '2m' })
   */
  async result({ within = 'forever' }: { within?: Timeout } = {}): Promise<Output> {
    const end = await this.#endWithin(within)
    this.#assertAsked(programOfEnd(end))
    const outcome = callOutcome(await this.#options.bus.resolve(end))
    if ('error' in outcome) throw new CallError(outcome.error)
    return outcome.output as Output
  }

  /**
   * The events of the request's correlation, from the request to the end of the task, as they happen. Without turns.
   * @throws E_BUS_CLOSED, E_NOT_FOUND
   * @example for await (const event of handle.events()) show(event.type)
   */
  async *events(): AsyncGenerator<CloudEvent> {
    for await (const { event, position } of this.#items())
      if (position && event.type !== turnType) yield await this.#options.bus.resolveIfStored(event)
  }

  /**
   * What a user may want to see while the task runs: text and reasoning of models as it arrives, calls and their answers, progress of tools,
   * requests to people, events of the app. Who reads late gets all of it. Ends with the task, or early when `signal` aborts; throws as
   * `result` does if the task fails.
   * @example
   * for await (const part of handle.stream()) if (part.type === 'text') process.stdout.write(part.text)
   */
  async *stream({ signal }: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<StreamPart> {
    yield* this.#parts(signal)
    if (!signal?.aborted) await this.result()
  }

  /**
   * The stream as a web `Response` of server-sent events: `task` with the id, each part under its type, at last `result` with the output or `failed`
   * with the error. A client that goes away ends only the stream, and continues by the id: `running.handle(id).response()`. Never rejects: an
   * unknown id is a 404, as from the gateway.
   * @example
   * const ask = async (request: Request) => (await running.ask(helper, await request.text())).response()
   * const askAgain = (id: string) => running.handle(id, helper).response()
   */
  async response(): Promise<Response> {
    const { id } = this
    const { asked, bus, origin } = this.#options
    try {
      this.#assertId()
      if (!asked?.end) this.#assertAsked((await findTask(bus, id, origin.tenant)).program)
    } catch (error) {
      const { status, body, headers } = errorResponse(error, bus.redactor)
      return Response.json(body, { status, headers })
    }
    const task = { id, parts: (signal: AbortSignal) => this.#parts(signal), result: () => this.result() }
    return eventStreamResponse(signal => taskFrames(task, signal))
  }

  /**
   * The output of a model agent with an output schema, while the model writes it: each value is more complete than the one before, and the
   * last one is the result. Throws as `result` does.
   * @example
   * for await (const report of handle.objects()) show(report.title ?? '…')
   */
  async *objects(): AsyncGenerator<PartialOutput<Output>> {
    const program = await this.#programName()
    const reader = new PartialReader()
    for await (const part of this.stream()) {
      const value = 'agent' in part && part.agent === program && (await reader.push(part))
      if (value) yield value as PartialOutput<Output>
    }
    yield (await this.result()) as PartialOutput<Output>
  }

  /**
   * Cancels the task: its code sees no further answers, and what it called is cancelled too. Durable when it resolves. A task that has ended
   * stays as it is.
   * @example await handle.cancel('the customer left')
   */
  async cancel(reason = 'cancelled by its caller'): Promise<void> {
    await this.#publish({ type: 'agent.cancel', data: { reason } })
  }

  /**
   * What the task shows in `ctx.state`, as of its newest turn; undefined if it shows nothing, or has not begun. It is read from the log, and the
   * task is not disturbed.
   *
   * @example
   * show(await handle.state())                 // { phase: 'paying' }
   */
  async state(): Promise<unknown> {
    await this.#programName()
    return (await readTaskState(this.#options.bus, this.id))?.state
  }

  /**
   * Sends a further message to a running task: a model agent reads it before it answers, straight-line code with
   * `ctx.waitFor('agent.message')`. Resolves when the task has taken it. The message is durable before that, so a worker that is down or busy
   * delays it, but does not lose it.
   * @throws E_TASK_ENDED if the task ended without it; E_NOT_FOUND, E_BUS_CLOSED
   * @example await handle.say('Only the newest prices, please.')
   */
  async say(message: unknown): Promise<void> {
    const { bus, answers } = this.#options
    const id = randomUUIDv7()
    await answers.start()
    const taken = answers.expect(id)
    try {
      await this.#publish({ id, type: messageType, replyto: askTarget, data: { message } })
      const { type } = await Promise.race([taken, this.#ending()])
      // The end may be read from the log before the answer arrives.
      if (type === messageTakenType || (await bus.get(resultId(id), this.correlation))) return
    } finally {
      answers.forget(id)
    }
    throw new TidingsError('E_TASK_ENDED', `task ${this.id} ended before it took the message`)
  }

  async *#parts(signal?: AbortSignal): AsyncGenerator<StreamPart> {
    const { bus } = this.#options
    const parts = new StreamParts()
    let shown: string | undefined
    for await (const { event, position } of this.#items(signal)) {
      if (event.type === turnType) {
        if (parseId(event.id)?.task !== this.id) continue
        const turn = await bus.resolveIfStored(event)
        const state = shownStateIn(turn)
        const json = JSON.stringify(state) as string | undefined
        const { program: agent } = turn.data as Turn
        if (json !== undefined && json !== shown) yield { type: 'state', agent, call: this.id, name: agent, state }
        shown = json ?? shown
        continue
      }
      yield* position ? parts.ofEvent(await bus.resolveIfStored(event)) : parts.ofSignal(event)
    }
  }

  /** From the request on, of its tenant, or from the first turn of a task that an event started: other tasks share its correlation. */
  async *#items(signal?: AbortSignal): AsyncGenerator<FeedItem> {
    this.#assertId()
    const { bus, feed, origin } = this.#options
    const finder = new TaskFinder(bus, this.id)
    // A signal may overtake the events of the log.
    const early: FeedItem[] = []
    for await (const item of feed.read(this.correlation, signal)) {
      const { event, position } = item
      if (event.tenant !== origin.tenant) continue
      if (position) await finder.see(event)
      const { found } = finder
      if (!found) {
        if (!position && early.length < maxEarlySignals) early.push(item)
        continue
      }
      this.#assertAsked(found.program)
      yield item
      yield* early.splice(0)
      if (!found.end) continue
      this.#end ??= Promise.resolve(found.end)
      return
    }
  }

  async #endWithin(within: Timeout): Promise<CloudEvent> {
    const until = deadlineFrom(Date.now(), within)
    if (until === null) return this.#ending()
    const late = new AbortController()
    const pending = () => new TidingsError('E_RESULT_PENDING', `task ${this.id} has not ended within ${within}`)
    const timer = setTimeout(() => late.abort(pending()), Math.max(0, Math.min(until - Date.now(), maxTimerMs)))
    try {
      if (this.#end) return await unlessAborted(this.#end, late.signal)
      this.#assertId()
      const end = await this.#findEnd(late.signal)
      this.#end ??= Promise.resolve(end)
      return end
    } finally {
      clearTimeout(timer)
    }
  }

  async #ending(): Promise<CloudEvent> {
    this.#assertId()
    this.#end ??= this.#findEnd().catch(error => {
      this.#end = undefined
      throw error
    })
    return this.#end
  }

  async #findEnd(signal?: AbortSignal): Promise<CloudEvent> {
    const { answers, origin } = this.#options
    const end = await answers.find(this.id, origin.tenant, signal)
    if (end) return end
    for await (const _ of this.#items(signal));
    signal?.throwIfAborted()
    return this.#findEnd(signal)
  }

  #assertAsked(program: string) {
    const { asked } = this.#options
    if (asked && asked.program !== program)
      throw new TidingsError('E_NOT_FOUND', `task ${this.id} is not one of "${asked.program}"`, {
        next: 'Pass the agent or workflow that was asked, or the id of one of its tasks.',
      })
  }

  #assertId() {
    if (!isTaskId(this.id))
      throw new TidingsError('E_REQUEST_INVALID', `"${this.id}" is not the id of a task: pass the id of a handle`)
  }

  async #programName(): Promise<string> {
    this.#assertId()
    const { bus, origin } = this.#options
    return (this.#program ??= (await findTask(bus, this.id, origin.tenant)).program)
  }

  async #publish(draft: Pick<Draft, 'id' | 'type' | 'replyto' | 'data'>): Promise<void> {
    const { bus, id, origin } = this.#options
    const { tenant, user } = origin
    const target = await this.#programName()
    const from = { source: '/ask', tenant, ...(user !== undefined && { user }) }
    await bus.publish({ ...draft, ...from, target, subject: id, correlationid: this.correlation })
  }
}
