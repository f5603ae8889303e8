import type { Bus } from '../bus/bus.ts'
import { cursorAt } from '../bus/cursor-at.ts'
import type { Cursor } from '../bus/driver.ts'
import { keepFollowing } from '../bus/keep-following.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { readAgentLimits, type AgentLimits } from '../tasks/agent-limits.ts'
import { ends, programOfEnd } from './task-end.ts'

/*
 * Refuses requests to agents that have enough to do. Every process that asks follows the requests and the ends of all tasks, so they count the same
 * tasks, no matter who asked for them. Its own requests count at once, those of others when it has read them:
 *
 *     log: agent.invoke ─▶ + 1, agent.task.completed | failed | cancelled ─▶ − 1          ask: fewer than `maxUnfinished`?
 */

/** Tasks that began earlier, and have not ended when a process begins to count, are not known to it. */
const lookBackMs = 10 * 60_000
const limitsTtlMs = 5_000

const filter = [{ types: ['agent.invoke', ...ends] }]

/** Counts the unfinished tasks of the agents of a log that limit them. */
export class AgentAdmission {
  readonly #bus: Bus
  readonly #closed = new AbortController()
  /** The requests of unfinished tasks, by agent. */
  readonly #open = new Map<string, Set<string>>()
  #limits: { readonly known: AgentLimits; readonly at: number } | undefined
  #counting: Promise<void> | undefined

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Counts a request that is about to be published. @throws E_BUSY if the agent has enough to do, E_LOG_UNAVAILABLE */
  async enter(agent: string, request: string): Promise<void> {
    const max = (await this.#readLimits())[agent]
    if (max === undefined) return
    this.#counting ??= this.#count().catch(error => {
      this.#counting = undefined
      throw error
    })
    await this.#counting
    const open = this.#of(agent)
    if (open.size >= max && !open.has(request))
      throw new TidingsError('E_BUSY', `"${agent}" has ${open.size} unfinished tasks, and takes no more than ${max}`, {
        retryable: true,
      })
    open.add(request)
  }

  /** The request was not published. */
  leave(agent: string, request: string): void {
    this.#open.get(agent)?.delete(request)
  }

  close(): void {
    this.#closed.abort()
  }

  async #readLimits(): Promise<AgentLimits> {
    const now = performance.now()
    if (!this.#limits || now - this.#limits.at > limitsTtlMs)
      this.#limits = { known: await readAgentLimits(this.#bus), at: now }
    return this.#limits.known
  }

  /** Resolves when what is on the log is counted. What follows is counted as it comes. */
  async #count(): Promise<void> {
    const head = await this.#bus.head()
    const after = await cursorAt(this.#bus, this.#bus.now() - lookBackMs, head)
    for await (const { event } of this.#bus.read({ after, until: head, filter })) this.#see(event)
    let cursor: Cursor = head
    void keepFollowing(this.#bus, {
      cursor: () => cursor,
      filter,
      signal: this.#closed.signal,
      onEntry: entry => {
        this.#see(entry.event)
        cursor = entry.cursor
      },
    })
  }

  #see(event: CloudEvent): void {
    const { type, target, id, call } = event
    if (type === 'agent.invoke') {
      if (target !== undefined && this.#limits?.known[target] !== undefined) this.#of(target).add(id)
    } else if (call !== undefined) this.#open.get(programOfEnd(event))?.delete(call)
  }

  #of(agent: string): Set<string> {
    const known = this.#open.get(agent)
    if (known) return known
    const open = new Set<string>()
    this.#open.set(agent, open)
    return open
  }
}
