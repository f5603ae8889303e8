import type { Bus } from '../../bus/bus.ts'
import { isTaskId } from '../../bus/ids.ts'
import type { DeferredDelivery } from '../../bus/driver.ts'
import { TidingsError } from '../../errors.ts'
import { matchesType } from '../../pattern.ts'
import type { Duration } from '../../tasks/duration.ts'
import {
  momentOf,
  type DeliveryFilter,
  type OperationOf,
  type RecordedTaskFilter,
  type TaskFilterRequest,
} from '../../tasks/operation-request.ts'
import type { OperationSelection } from '../../tasks/operation.ts'
import type { QueryIndex } from '../../trace/index/open.ts'
import { failedSince, findFailed, withoutCalled } from '../../trace/attention/failed-tasks.ts'
import { assertEverHosted } from './hosted.ts'
import { assertTaskOf, startsLike } from '../../tasks/task-start.ts'

/** An operation on tasks or deliveries, one or many. */
export type SelectiveRequest = OperationOf<'retry' | 'cancel' | 'release' | 'discard' | 'replay'>

/** Where, for whom and when to select. */
interface Selecting {
  readonly bus: Bus
  readonly query: QueryIndex
  readonly failedFor: Duration
  readonly tenant: string
  /** When the request was made, ms since the epoch. */
  readonly at: number
}

/** What a request is about, within its tenant and its limit. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE */
export async function select(request: SelectiveRequest, selecting: Selecting): Promise<OperationSelection> {
  const found = await idsFor(request, selecting)
  return { found: found.length, ids: found.slice(0, request.limit) }
}

/** Whether it is about one task or delivery, which the request names. */
export const isSingle = (request: SelectiveRequest): boolean => 'task' in request || 'delivery' in request

async function idsFor(request: SelectiveRequest, selecting: Selecting): Promise<string[]> {
  const { bus, tenant } = selecting
  if (request.ids) return knownOf(request.ids, request.action === 'discard', selecting)
  if ('delivery' in request && request.delivery !== undefined) return [await deliveryOf(bus, tenant, request.delivery)]
  if ('deliveries' in request && request.deliveries) return matchingDeliveries(request.deliveries, selecting)
  if ('task' in request && request.task !== undefined) {
    await assertTaskOf(bus, request.task, tenant)
    if (request.action === 'discard') await assertListed(request.task, selecting)
    return [request.task]
  }
  const filter = 'tasks' in request ? request.tasks! : {}
  const { agent } = filter
  const tasks =
    request.action === 'cancel'
      ? await recordedTasks({ ...filter, state: 'live' }, selecting)
      : request.action === 'replay'
        ? await recordedTasks(request.tasks!, selecting)
        : await failedTasks(filter, selecting)
  if (tasks.length === 0 && agent !== undefined) await assertEverHosted(bus, 'agent', agent)
  return tasks
}

/** Those tasks and deliveries of a list that the tenant has. Others are left out, as what a filter does not match. */
async function knownOf(
  ids: readonly string[],
  isDiscard: boolean,
  { bus, query, tenant }: Selecting,
): Promise<string[]> {
  const named = new Set(ids)
  const tasks = [...named].filter(isTaskId).map(task => ({ task }))
  const known = new Set((await startsLike(bus, tasks, { tenant })).map(({ task }) => task))
  if (isDiscard) for (const task of known) if ((await findFailed(bus, query, { task })).length === 0) known.delete(task)
  if (tasks.length < named.size)
    for await (const { id, event } of bus.listDeferred()) if (event.tenant === tenant) known.add(id)
  return [...named].filter(id => known.has(id))
}

async function failedTasks(filter: TaskFilterRequest, selecting: Selecting): Promise<string[]> {
  const { bus, query, failedFor, tenant, at } = selecting
  const { agent: program, code, type, text, since, until } = filter
  const found = await findFailed(bus, query, {
    since: since === undefined ? failedSince(failedFor) : momentOf(since, at),
    ...(until !== undefined && { until: momentOf(until, at) }),
    ...(program !== undefined && { program }),
    code,
    type,
    tenant,
  })
  const own = withoutCalled(found).own.map(({ task }) => task)
  if (text === undefined) return own
  const matching = await query(index => index.tasks({ tenant, state: 'failed', text, limit: maxRows }))
  const known = new Set(matching.map(({ task }) => task))
  return own.filter(task => known.has(task))
}

/** Oldest first. A task that another one called is cancelled with it, or on its own. */
async function recordedTasks(
  { agent, type, text, since, until, state }: RecordedTaskFilter,
  selecting: Selecting,
): Promise<string[]> {
  const { bus, query, tenant, at } = selecting
  const [from, to] = [since === undefined ? 0 : momentOf(since, at), until === undefined ? at : momentOf(until, at)]
  const states = state === 'live' ? (['waiting', 'running'] as const) : [state]
  const rows = await query(index =>
    states.flatMap(state =>
      index.tasks({
        tenant,
        state,
        limit: maxRows,
        since: from,
        program: agent,
        text,
      }),
    ),
  )
  const inPeriod = rows.filter(({ started }) => started >= from && started <= to)
  const oldestFirst = inPeriod.toSorted((a, b) => a.started - b.started)
  const found = type === undefined ? oldestFirst : await startsLike(bus, oldestFirst, { tenant, type })
  return found.map(({ task }) => task)
}

const maxRows = 1_000_000

async function matchingDeliveries(filter: DeliveryFilter, { bus, tenant, at }: Selecting): Promise<string[]> {
  const { state, group, key, type, code, since, until } = filter
  const [from, to] = [
    since === undefined ? -Infinity : momentOf(since, at),
    until === undefined ? Infinity : momentOf(until, at),
  ]
  const isSelected = ({ event, reason, ...entry }: DeferredDelivery) => {
    const published = Date.parse(event.time)
    return (
      event.tenant === tenant &&
      (state === undefined || entry.state === state) &&
      (group === undefined || entry.group === group) &&
      (key === undefined || entry.key === key) &&
      (type === undefined || matchesType(type, event.type)) &&
      (code === undefined || reason.code === code) &&
      published >= from &&
      published <= to
    )
  }
  const found: string[] = []
  for await (const entry of bus.listDeferred()) if (isSelected(entry)) found.push(entry.id)
  return found
}

async function deliveryOf(bus: Bus, tenant: string, given: string): Promise<string> {
  const id = given.replace(/^#/, '')
  for await (const entry of bus.listDeferred()) if (entry.id === id && entry.event.tenant === tenant) return id
  throw notListed(`entry with the id "${id}"`)
}

async function assertListed(task: string, { bus, query }: Selecting): Promise<void> {
  if ((await findFailed(bus, query, { task })).length === 0) throw notListed(`failed task "${task}"`)
}

const notListed = (what: string) =>
  new TidingsError('E_NOT_FOUND', `the attention list has no ${what}`, {
    next: 'The entry may have been settled since you saw it: look at the list again.',
  })
