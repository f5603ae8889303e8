import { unlessAborted } from '../bus/abort.ts'
import type { Bus } from '../bus/bus.ts'
import type { Cursor } from '../bus/driver.ts'
import { resultId } from '../bus/ids.ts'
import { keepFollowing } from '../bus/keep-following.ts'
import { whenAvailable } from '../bus/when-available.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Filter } from '../pattern.ts'
import { askTarget, messageTakenType } from '../tasks/asked.ts'
import { operationCompletedType, operationFailedType } from '../tasks/operation.ts'
import { findTask, isAsked } from './find-task.ts'
import { ends, taskOfEnd } from './task-end.ts'

/*
 * The ends of requested tasks, and the answers to messages and operations. One subscription for each process follows all of them, and each
 * goes to the caller that waits for it:
 *
 *     follow from the head of the log ─▶ publish the request ─▶ … ─▶ its end arrives, whichever worker decided it
 *
 * A request that this process did not publish just now may have ended before: its correlation is read once.
 */

const filter: Filter = [
  { types: [...ends, messageTakenType], targets: [askTarget] },
  { types: [operationCompletedType, operationFailedType] },
]

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

  /** The end of a task, or the answer to a message or an operation; call it before it can happen, and after `start`. Rejects with E_BUS_CLOSED. */
  expect(id: string): Promise<CloudEvent> {
    const known = this.#expected.get(id)
    if (known) return known.promise
    const expected = Promise.withResolvers<CloudEvent>()
    expected.promise.catch(() => {})
    if (this.#closed.signal.aborted) expected.reject(closed())
    else this.#expected.set(id, expected)
    return expected.promise
  }

  /**
   * The end of a task that may have ended already. Undefined if the task runs, and no client asked for it: its end is sent to nobody.
   * Waits while the log cannot be read. @throws E_NOT_FOUND, E_BUS_CLOSED, the reason of the signal
   */
  async find(task: string, tenant: string, signal?: AbortSignal): Promise<CloudEvent | undefined> {
    const until = AbortSignal.any([this.#closed.signal, ...(signal ? [signal] : [])])
    await whenAvailable(() => this.start(), until)
    const expected = this.expect(task)
    try {
      const found = await whenAvailable(() => findTask(this.#bus, task, tenant), until)
      if (found.end) this.#settle(task, found.end)
      else if (!isAsked(found)) {
        this.#expected.delete(task)
        return undefined
      }
    } catch (error) {
      this.#expected.delete(task)
      throw error
    }
    return signal ? unlessAborted(expected, signal) : expected
  }

  /** The answer to an operation, which may have come already. @throws E_LOG_UNAVAILABLE, the reason of the signal */
  async answerTo(operation: string, signal: AbortSignal): Promise<CloudEvent> {
    await this.start()
    const expected = this.expect(operation)
    const answer = await this.#bus.get(resultId(operation), operation)
    if (answer) this.#settle(operation, answer)
    return unlessAborted(expected, signal)
  }

  /** No caller waits for the answer to this message any more. */
  forget(message: string) {
    this.#expected.delete(message)
  }

  close() {
    this.#closed.abort(closed())
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
        this.#settle(ends.includes(event.type) ? taskOfEnd(event) : event.call!, event)
        cursor = entry.cursor
      },
    })
  }
}

const closed = () => new TidingsError('E_BUS_CLOSED', 'the app stopped before the task ended; the task goes on')
