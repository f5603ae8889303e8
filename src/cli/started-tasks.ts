import { setTimeout } from 'node:timers/promises'
import { CorrelationFeed } from '../ask/feed.ts'
import type { Bus, PublishedEvent } from '../bus/bus.ts'
import type { DeferredDelivery } from '../bus/driver.ts'
import { parseId } from '../bus/ids.ts'
import { routedType } from '../bus/routed.ts'
import { TidingsError, type ErrorCode } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { appGroup } from '../tasks/hosts.ts'
import { KeyedWorkflows } from '../tasks/links.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { eventLine, terminalWidth } from './event-line.ts'
import { print, shutdownSignal, type GlobalOptions } from './output.ts'

const pollIntervalMs = 500

/**
 * The tasks that take one event, because it starts them or they wait for it, followed through their turns. A turn may come before the
 * events that it emitted, or after them.
 */
class TakingTasks {
  /** The event, and its copies for keyed workflow instances. */
  readonly ids: Set<string>
  readonly #running = new Set<string>()
  readonly #late = new Set<string>()
  readonly #seen = new Set<string>()
  #ends: readonly string[] = []
  /** Whether a task has taken the event, or it came too late for one. */
  isTaken = false

  constructor(event: string) {
    this.ids = new Set([event])
  }

  /** Turns with their data. */
  see({ id, type, data, causationid, subject }: CloudEvent) {
    this.#seen.add(id)
    if (type === routedType && this.ids.has(causationid!)) this.ids.add(id)
    if (type === 'workflow.late' && this.ids.has(subject!)) {
      this.isTaken = true
      const task = parseId(id)?.task ?? (data as { task: string }).task
      this.#late.add(task)
      this.#running.delete(task)
    }
    if (type !== turnType) return
    const { task } = parseId(id)!
    const { inputs, end, successor, emits } = data as Turn
    if (inputs.some(input => this.ids.has(input.id)) && !this.#late.has(task)) {
      this.isTaken = true
      this.#running.add(task)
    }
    if (!end || !this.#running.delete(task)) return
    if (successor !== undefined) this.#running.add(successor)
    this.#ends = [...this.#ends, ...emits.map(emit => emit.id)]
  }

  get haveEnded(): boolean {
    return this.isTaken && this.#running.size === 0 && this.#ends.every(id => this.#seen.has(id))
  }
}

/**
 * Prints the events that follow from a published one, also in keyed workflow instances, until every task that took it has ended, or it came
 * too late. @throws E_RESULT_PENDING, E_NOT_FOUND if no task takes it, the reason if an agent or workflow refuses it
 */
export async function printUntilEnded(
  bus: Bus,
  { id, correlationid }: PublishedEvent,
  { json, within }: GlobalOptions & { within: Duration },
): Promise<void> {
  const feed = new CorrelationFeed(bus)
  const done = new AbortController()
  const signal = AbortSignal.any([done.signal, shutdownSignal(), AbortSignal.timeout(milliseconds(within))])
  const event = await bus.resolve((await bus.get(id, correlationid))!)
  const correlations = [correlationid, ...(await KeyedWorkflows.read(bus)).fedBy(event)]
  const tasks = new TakingTasks(id)
  const follow = async (correlation: string) => {
    let follows = correlation === correlationid
    for await (const { event, position } of feed.read(correlation, signal)) {
      follows ||= event.causationid === id
      if (!position || !follows || event.id === id) continue
      const whole = await bus.resolveIfStored(event)
      tasks.see(whole)
      if (event.type !== turnType)
        await print(json ? JSON.stringify({ event: whole }) : eventLine(whole, terminalWidth()))
      if (tasks.haveEnded) done.abort()
    }
  }
  try {
    await Promise.all([...correlations.map(follow), assertTaken(bus, event, { correlations, tasks, signal })])
  } finally {
    done.abort()
    feed.close()
  }
  if (tasks.haveEnded) return
  const problem = tasks.isTaken ? 'a task that took the event has not ended' : 'no task has taken the event'
  throw new TidingsError('E_RESULT_PENDING', `${problem} within ${within}`, {
    next: `\`tidings trace ${correlationid}\` shows how far it is, \`tidings status\` the apps that have not taken their events yet.`,
  })
}

/**
 * Resolves when a task has taken the event, or the waiting ends. Every app settles each of its events, so once all have, no task takes it.
 * @throws E_NOT_FOUND if no task takes it, the reason if its delivery was given up or parked
 */
async function assertTaken(
  bus: Bus,
  event: CloudEvent,
  { correlations, tasks, signal }: { correlations: readonly string[]; tasks: TakingTasks; signal: AbortSignal },
): Promise<void> {
  while (!tasks.isTaken && !signal.aborted) {
    // Read in this order: a delivery that is given up or repeated meanwhile is in the list, or counts as not settled afterwards.
    const wereSettled = await haveAppsSettled(bus)
    const deferred = await deferredOf(bus, tasks.ids)
    if (deferred && deferred.state !== 'delayed') throw refusal(deferred)
    const areSettled = wereSettled && !deferred && (await haveAppsSettled(bus))
    if (areSettled && !(await isTakenOnLog(bus, event.id, correlations)))
      throw new TidingsError('E_NOT_FOUND', `no task takes the event ${event.id}`, {
        next: `No app that ever ran on this log has an agent or workflow for "${event.type}", or the event lacks the key of the workflow.`,
      })
    await setTimeout(pollIntervalMs, undefined, { signal }).catch(() => {})
  }
}

async function deferredOf(bus: Bus, ids: ReadonlySet<string>): Promise<DeferredDelivery | undefined> {
  for await (const entry of bus.listDeferred()) if (ids.has(entry.event.id)) return entry
  return undefined
}

const haveAppsSettled = async (bus: Bus) =>
  (await bus.listGroups()).every(({ group, lag }) => lag === 0 || !group.startsWith(appGroup('')))

async function isTakenOnLog(bus: Bus, id: string, correlations: readonly string[]): Promise<boolean> {
  const tasks = new TakingTasks(id)
  for (const correlation of correlations)
    for await (const { event } of bus.read({ correlation })) tasks.see(await bus.resolveIfStored(event))
  return tasks.isTaken
}

const refusal = ({ id, reason: { code, message } }: DeferredDelivery) =>
  new TidingsError(code as ErrorCode, `no task takes the event: ${message}`, {
    next: `\`tidings attention\` lists it as ${id}, with what you can do.`,
  })
