import type { Bus } from '../bus/bus.ts'
import { parseId, taskId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { tokensOf, type EarlierConversation, type ModelRequest, type ModelResult } from '../tasks/conversation.ts'
import { isInvocation } from '../tasks/fork.ts'
import { askTarget } from '../tasks/asked.ts'
import { uiTarget } from '../tasks/ui-tools.ts'
import { isEnd, taskOfEnd } from './task-end.ts'

/*
 * The requests of a thread form a tree: each comes after the one before it on the log, or names an earlier one if the user edited a
 * message. A model agent continues the conversation of the nearest task before it that completed. Conversations are references to
 * events, so a request carries a few ids, however long the thread is.
 */

/** What the request of a thread says about its place in it; in its data. */
export interface ThreadPlace {
  /** The task that it comes after; null at the beginning. Default: the request before it on the log. */
  readonly after?: string | null
  /** The id that the user interface gave to the message. */
  readonly message?: string
}

/** A request of a thread. */
export interface RequestOfThread extends ThreadPlace {
  readonly after: string | null
  readonly task: string
  /** The agent or workflow that was asked. Its data is resolved. */
  readonly request: CloudEvent
  readonly end?: CloudEvent
}

interface ModelStep {
  request?: CloudEvent
  answer?: CloudEvent
  /** The task of the agent that continued the conversation. */
  successor?: string
}

/** A thread as the log has it. */
export class ThreadHistory {
  readonly #bus: Bus
  readonly #requests = new Map<string, RequestOfThread>()
  readonly #steps = new Map<string, ModelStep>()
  readonly #uiCalls = new Map<string, CloudEvent>()

  private constructor(bus: Bus) {
    this.#bus = bus
  }

  /** `correlation`: undefined for a thread that has no request yet. */
  static async read(bus: Bus, correlation: string | undefined): Promise<ThreadHistory> {
    const history = new ThreadHistory(bus)
    if (correlation === undefined) return history
    for await (const { event } of bus.read({ correlation })) await history.#add(event)
    return history
  }

  /** The newest request; undefined if there is none. */
  get newest(): RequestOfThread | undefined {
    return [...this.#requests.values()].at(-1)
  }

  /** The requests from the first one to this task, which is the last. */
  branch(task: string | undefined): RequestOfThread[] {
    const branch: RequestOfThread[] = []
    let found = task === undefined ? undefined : this.#requests.get(task)
    for (; found; found = found.after === null ? undefined : this.#requests.get(found.after)) branch.unshift(found)
    return branch
  }

  /** The newest request after this task with this id of its message. */
  requestAfter(after: string | null, message: string): RequestOfThread | undefined {
    return [...this.#requests.values()].findLast(each => each.after === after && each.message === message)
  }

  /** Calls of tools of the user interface that have no answer, newest first. Their data is resolved. */
  get openUiCalls(): CloudEvent[] {
    return [...this.#uiCalls.values()].toReversed()
  }

  /** What a request of this agent after this task continues. Undefined if there is nothing, as with agents without a model. */
  async conversation(after: string | null, program: string): Promise<EarlierConversation | undefined> {
    const done = this.branch(after ?? undefined).findLast(
      ({ request, end }) => end?.type === 'agent.task.completed' && request.target === program,
    )
    let step = done && this.#steps.get(parseId(done.end!.id)!.task)
    while (step?.successor !== undefined) step = this.#steps.get(step.successor)
    if (!step?.request || step.answer?.call !== step.request.id) return undefined
    const answer = (await this.#bus.resolve(step.answer)).data as ModelResult
    if (answer.toolCalls.length > 0) return undefined
    const { first } = (await this.#bus.resolve(step.request)).data as ModelRequest
    const messages = [{ role: 'assistant', event: step.answer.id }] as const
    return { prev: step.request.id, messages, first, tokens: tokensOf(answer) }
  }

  async #add(event: CloudEvent): Promise<void> {
    const { id, type, call, target, correlationid, replyto } = event
    if (call !== undefined) this.#uiCalls.delete(call)
    if (target === uiTarget) this.#uiCalls.set(id, await this.#bus.resolveIfStored(event))
    if (type === 'model.invoke') this.#stepOf(id).request = event
    else if (type === 'model.result') this.#stepOf(call).answer = event
    else if (isInvocation(type) && target !== undefined) {
      const request = await this.#bus.resolveIfStored(event)
      const task = taskId(correlationid, target, id)
      const data = request.data as { thread?: ThreadPlace; conversation?: unknown } | null
      if (data?.conversation !== undefined) this.#stepOf(id).successor = task
      if (replyto === askTarget && !this.#requests.has(task))
        this.#requests.set(task, { after: this.newest?.task ?? null, ...data?.thread, task, request })
    } else if (isEnd(event)) {
      const task = taskOfEnd(event)
      const request = this.#requests.get(task)
      if (request) this.#requests.set(task, { ...request, end: event })
    }
  }

  /** The newest model call of the task that an event belongs to. */
  #stepOf(id: string | undefined): ModelStep {
    const { task = '' } = parseId(id ?? '') ?? {}
    const known = this.#steps.get(task) ?? {}
    this.#steps.set(task, known)
    return known
  }
}
