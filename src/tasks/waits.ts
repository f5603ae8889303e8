import { TidingsError } from '../errors.ts'
import { parsedData, type AnyEventType, type CloudEvent } from '../event.ts'
import { copyOf } from '../json.ts'
import { aFunction, aTimeout, checkOptions, type Check } from '../options.ts'
import type { Timeout } from './duration.ts'

/*
 * Straight-line code that waits for events of its correlation. The engine gives a running task every event of the types that its agent
 * declares in `waitsFor`, as an input of a turn. An input that no open wait takes is kept for a later wait, so an event that comes
 * between two turns is not missed.
 */

/** The call of a wait, which only its deadline answers: the event that comes is an input of its own. */
export const awaitsType = 'task.awaits'
/** The target of timers in lists of what a task waits for. */
export const timerTarget = 'timer'

/** How one wait for an event ends. */
export interface EventWaitOptions<Data = unknown> {
  /** Whether the data of an event answers the wait. It must be pure: it decides again on recorded events. Default: all do. */
  where?: (data: Data) => boolean
  /** Maximum wait, after which the result is undefined. Default one day. */
  within?: Timeout
}

const checks = { where: aFunction, within: aTimeout } satisfies Record<keyof EventWaitOptions, Check>

/** An event type that code waits for, and which of its events. */
export class EventWait {
  readonly type: string
  readonly #schema: AnyEventType | undefined
  readonly #where: (data: never) => boolean

  /** @throws E_APP_INVALID if the agent does not declare the type */
  constructor(
    agent: { readonly name: string; readonly waitsFor: readonly string[] },
    target: string | AnyEventType,
    options: EventWaitOptions<never>,
  ) {
    this.type = typeof target === 'string' ? target : target?.type
    this.#schema = typeof target === 'string' ? undefined : target
    this.#where = options.where ?? (() => true)
    checkOptions(`ctx.waitFor("${this.type}")`, options, checks, [])
    if (!agent.waitsFor.includes(this.type))
      throw new TidingsError(
        'E_APP_INVALID',
        `"${agent.name}" waits for "${this.type}", which it does not declare: add it to waitsFor, as in agent("${agent.name}", { waitsFor: ["${this.type}"], … })`,
      )
  }

  /** The data for the code if the event answers the wait; an event whose data its schema refuses does not. */
  match({ type, data }: CloudEvent): { readonly data: unknown } | undefined {
    if (type !== this.type) return undefined
    let given: unknown = copyOf(data)
    try {
      if (this.#schema) given = parsedData(this.#schema, given)
    } catch {
      return undefined
    }
    return this.#where(given as never) ? { data: given } : undefined
  }
}

/** The events that a task was given, and that no wait has taken yet. */
export class ReceivedInputs {
  readonly #types: readonly string[]
  readonly #seen = new Set<string>()
  readonly #kept: CloudEvent[] = []

  constructor(types: readonly string[], start: CloudEvent) {
    this.#types = types
    this.#seen.add(start.id)
  }

  /** Whether the task takes this event. It takes each once. */
  takes({ id, type }: CloudEvent): boolean {
    return this.#types.includes(type) && !this.#seen.has(id)
  }

  add(event: CloudEvent): void {
    this.#seen.add(event.id)
    this.#kept.push(event)
  }

  /** Removes the oldest event that answers a wait, and returns its data. */
  take(wait: EventWait): { readonly data: unknown } | undefined {
    for (const [i, event] of this.#kept.entries()) {
      const match = wait.match(event)
      if (!match) continue
      this.#kept.splice(i, 1)
      return match
    }
    return undefined
  }
}
