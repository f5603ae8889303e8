import type { Bus } from '../../bus/bus.ts'
import { positionKey } from '../../bus/cursor.ts'
import { correlationOf, dismissedId, parseId } from '../../bus/ids.ts'
import type { ErrorData } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { milliseconds, type Duration } from '../../tasks/duration.ts'
import { dismissedType } from '../../tasks/fork.ts'
import { startsLike } from '../../tasks/task-start.ts'
import { eventsAt, withData } from '../index/events.ts'
import type { FailureFilter, FailureRow } from '../index/rows.ts'
import type { QueryIndex } from '../index/open.ts'

/*
 * Failed tasks, until TIDINGS_FAILED_FOR has passed or somebody retries or dismisses them. The index lists them, so the number of tasks
 * does not matter.
 */

export interface FailedTask {
  readonly kind: 'failed'
  readonly task: string
  readonly program: string
  readonly code: string
  readonly message: string
  /** When it failed, ms since the epoch. */
  readonly at: number
  /** Id of the event that reports the failure. */
  readonly event: string
  /** The call that it answers, if a caller waited. */
  readonly call?: string
}

/** The newest ones, which are read with their errors. */
const maxFailed = 1_000

/** Since when failed tasks are on the attention list, ms since the epoch. */
export const failedSince = (failedFor: Duration) => Date.now() - milliseconds(failedFor)

/** The failed tasks on the attention list, newest first, and how many there are. `since`: see {@link failedSince}. `tenant`: only of this one. */
export async function listFailed(
  bus: Bus,
  query: QueryIndex,
  { since, tenant }: { readonly since: number; readonly tenant?: string },
): Promise<{ failed: FailedTask[]; total: number }> {
  const { rows, total } = await query(index => ({
    rows: index.failures({ since, tenant, limit: maxFailed }),
    total: index.failed(since, tenant),
  }))
  return { failed: await withErrors(bus, rows), total }
}

/** Which failed tasks. */
export interface FailedFilter extends FailureFilter {
  readonly code?: string | undefined
  /** A pattern: the type of the event that started the task. */
  readonly type?: string | undefined
}

/** All that match the filter, oldest first. */
export async function findFailed(bus: Bus, query: QueryIndex, filter: FailedFilter): Promise<FailedTask[]> {
  const { code, tenant, type } = filter
  const rows = await query(index => index.failures(filter))
  const found: FailedTask[] = []
  for (let from = 0; from < rows.length; from += maxFailed)
    found.push(...(await withErrors(bus, rows.slice(from, from + maxFailed))))
  const failed = found.filter(each => code === undefined || each.code === code).reverse()
  return type === undefined ? failed : startsLike(bus, failed, { type, tenant })
}

/** A task whose caller failed too continues with its caller. */
export function withoutCalled(found: readonly FailedTask[]): { own: FailedTask[]; withCallers: number } {
  const all = new Set(found.map(({ task }) => task))
  const own = found.filter(({ call }) => call === undefined || !all.has(parseId(call)?.task ?? ''))
  return { own, withCallers: found.length - own.length }
}

async function withErrors(bus: Bus, rows: readonly FailureRow[]): Promise<FailedTask[]> {
  const stored = await withData(bus, await eventsAt(bus, rows.map(({ position }) => position))) // biome-ignore format: one line
  const events = new Map(stored.map(({ position, event }) => [positionKey(position), event]))
  return rows.flatMap(({ task, position, at }) => {
    const event = events.get(positionKey(position))
    return event ? [failedTask(task, at, event)] : []
  })
}

function failedTask(task: string, at: number, { id, call, data }: CloudEvent): FailedTask {
  const { program, error } = (data ?? {}) as { program?: string; error?: Partial<ErrorData> | null }
  const { code = 'E_PROGRAM_FAILED', message = '' } = error ?? {}
  const failed = { kind: 'failed', task, program: program ?? '?', code, message, at, event: id } as const
  return call === undefined ? failed : { ...failed, call }
}

/** Removes a task from the list. False if it is not on the list. `source`: who does it. */
export async function dismissFailed(bus: Bus, query: QueryIndex, task: string, source: string): Promise<boolean> {
  const [found] = await findFailed(bus, query, { task })
  if (found) await publishDismissal(bus, found, source)
  return found !== undefined
}

/** Records that a person has seen the failure. */
export async function publishDismissal(
  bus: Bus,
  { task, event }: Pick<FailedTask, 'task' | 'event'>,
  source: string,
): Promise<void> {
  await bus.publish({
    id: dismissedId(task),
    type: dismissedType,
    source,
    subject: task,
    correlationid: correlationOf(task),
    causationid: event,
    data: null,
  })
}
