import type { Bus } from '../bus/bus.ts'
import type { Cursor } from '../bus/driver.ts'
import { correlationOf, taskId } from '../bus/ids.ts'
import { keepFollowing } from '../bus/keep-following.ts'
import { notOnLog, TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { compileFilter, type Filter } from '../pattern.ts'
import { askTarget, messageTakenType } from '../tasks/asked.ts'
import { isInvocation } from '../tasks/fork.ts'

/*
 * The ends of requested tasks, and the answers to messages. One subscription for each process follows all of them, and each goes to the
 * caller that waits for it:
 *
 *     follow from the head of the log ─▶ publish the request ─▶ … ─▶ its end arrives, whichever worker decided it
 *
 * A request that this process did not publish just now may have ended before: its correlation is read once.
 */

const ends = ['agent.task.completed', 'agent.task.failed', 'agent.task.cancelled']
const filter: Filter = [{ types: [...ends, messageTakenType], targets: [askTarget] }]
/** Whether an event is the end of a requested task. */
export const isEnd = compileFilter([{ types: ends, targets: [askTarget] }])

/** A requested task, as far as its correlation shows it. */
export interface AskedTask {
  readonly request: CloudEvent
  /** The newest one: a failed task may have been retried. */
  readonly end?: CloudEvent
}

export class Answers {
  readonly #bus: Bus
  readonly #expected = new Map<string, PromiseWithResolvers<CloudEvent>>()
  readonly #closed = new AbortController()
  #started: Promise<void> | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Resolves when every later end will arrive. @throws E_LOG_UNAVAILABLE */
  start(): Promise<void> {
    this.#started ??= this.#bus.head().then(
      head => void this.#follow(head),
      error => {
        this.#started = undefined
        throw error
      },
    )
    return this.#started
  }

  /** The end of a task, or the answer to a message; call it before it can happen, and after `start`. Rejects with E_BUS_CLOSED. */
  expect(id: string): Promise<CloudEvent> {
    const known = this.#expected.get(id)
    if (known) return known.promise
    const expected = Promise.withResolvers<CloudEvent>()
    expected.promise.catch(() => {})
    if (this.#closed.signal.aborted) expected.reject(closed())
    else this.#expected.set(id, expected)
    return expected.promise
  }

  /** The end of a task that may have ended already. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE */
  async find(task: string, tenant: string): Promise<CloudEvent> {
    await this.start()
    const expected = this.expect(task)
    try {
      const { end } = await findTask(this.#bus, task, tenant)
      if (end) this.#settle(task, end)
    } catch (error) {
      this.#expected.delete(task)
      throw error
    }
    return expected
  }

  /** No caller waits for the answer to this message any more. */
  forget(message: string) {
    this.#expected.delete(message)
  }

  close() {
    this.#closed.abort()
    for (const { reject } of this.#expected.values()) reject(closed())
    this.#expected.clear()
  }

  #settle(id: string, event: CloudEvent) {
    this.#expected.get(id)?.resolve(event)
    this.#expected.delete(id)
  }

  async #follow(head: Cursor): Promise<void> {
    let cursor = head
    // Callers wait while the log cannot be read, each as long as it wants to.
    await keepFollowing(this.#bus, {
      cursor: () => cursor,
      filter,
      signal: this.#closed.signal,
      onEntry: entry => {
        const { event } = entry
        this.#settle(event.type === messageTakenType ? event.call! : taskOfEnd(event), event)
        cursor = entry.cursor
      },
    })
  }
}

/** Reads a requested task of a tenant from its correlation. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE */
export async function findTask(bus: Bus, task: string, tenant: string): Promise<AskedTask> {
  const correlation = correlationOf(task)
  let request: CloudEvent | undefined
  let end: CloudEvent | undefined
  for await (const { event } of bus.read({ correlation })) {
    if (event.tenant !== tenant) continue
    if (isRequestOf(task, event)) request ??= event
    else if (isEnd(event) && taskOfEnd(event) === task) end = event
  }
  if (!request) throw notOnLog(`the log has no request with the id ${task}`)
  return { request, ...(end && { end }) }
}

/** Whether an event is the request that started this task. */
export const isRequestOf = (task: string, { type, target, correlationid, id }: CloudEvent): boolean =>
  isInvocation(type) && target !== undefined && taskId(correlationid, target, id) === task

/** The requested task that an end belongs to, which is the first of a `continueAs` chain. The data may be in a blob. */
export const taskOfEnd = (end: CloudEvent): string => taskId(end.correlationid, programOfEnd(end), end.call!)

export const programOfEnd = ({ source }: CloudEvent): string => source.slice(source.indexOf('/', 1) + 1)

const closed = () => new TidingsError('E_BUS_CLOSED', 'the app stopped before the task ended; the task goes on')
