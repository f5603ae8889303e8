import type { Bus } from '../bus/bus.ts'
import { correlationOf, parseId, taskId } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { askTarget } from '../tasks/asked.ts'
import { isInvocation } from '../tasks/fork.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { ends, taskOfEnd } from './task-end.ts'

/** A task, as far as its correlation shows it. */
export interface FoundTask {
  readonly id: string
  /** The agent or workflow that was asked, or that subscribes to the event. */
  readonly program: string
  /** The request or the event that started it. */
  readonly start: CloudEvent
  /** The newest one: a failed task may have been retried. */
  readonly end?: CloudEvent
}

/** Whether a client asked for the task, and the processes of clients therefore get its end. */
export const isAsked = ({ start }: FoundTask): boolean => start.replyto === askTarget

/**
 * Finds one task among the events of its correlation, in the order of the log. A request names its program, so that its task is known before
 * its first turn; a task that an event started is known from then on.
 */
export class TaskFinder {
  readonly #bus: Bus
  readonly #task: string
  /** The task, and those that continue it. */
  readonly #chain: Set<string>
  #start: { readonly program: string; readonly start: CloudEvent } | undefined
  #end: CloudEvent | undefined

  constructor(bus: Bus, task: string) {
    this.#bus = bus
    this.#task = task
    this.#chain = new Set([task])
  }

  get found(): FoundTask | undefined {
    return this.#start && { id: this.#task, ...this.#start, ...(this.#end && { end: this.#end }) }
  }

  async see(event: CloudEvent): Promise<void> {
    const { id, type, call } = event
    if (isRequestOf(this.#task, event)) this.#start ??= { program: event.target!, start: event }
    const isInChain = this.#chain.has(parseId(id)?.task ?? '')
    if (ends.includes(type) && (isInChain || (call !== undefined && taskOfEnd(event) === this.#task))) this.#end = event
    // The end of a task that a client asked for names its request.
    if (type !== turnType || !isInChain || this.#start?.start.replyto === askTarget) return
    const { program, inputs, successor } = (await this.#bus.resolveIfStored(event)).data as Turn
    this.#start ??= { program, start: inputs[0] ?? event }
    if (successor !== undefined) this.#chain.add(successor)
  }
}

/** Reads a task of a tenant from its correlation. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE */
export async function findTask(bus: Bus, id: string, tenant: string): Promise<FoundTask> {
  const finder = new TaskFinder(bus, id)
  for await (const { event } of bus.read({ correlation: correlationOf(id) }))
    if (event.tenant === tenant) await finder.see(event)
  const { found } = finder
  if (!found)
    throw new TidingsError('E_NOT_FOUND', `the log has no task with the id ${id}`, {
      next: 'Check the id. A task that an event starts is known from its first turn on; events stay for the `retention` of app().',
    })
  return found
}

/** Whether an event is the request that started this task. */
const isRequestOf = (task: string, { type, target, correlationid, id }: CloudEvent): boolean =>
  isInvocation(type) && target !== undefined && taskId(correlationid, target, id) === task
