import type { Bus } from '../bus/bus.ts'
import { positionKey } from '../bus/cursor.ts'
import { dismissedId, correlationOf } from '../bus/ids.ts'
import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { environment } from '../runtime/environment.ts'
import { milliseconds } from '../tasks/duration.ts'
import { dismissedType } from '../tasks/fork.ts'
import { eventsAt, withData } from '../trace/index/events.ts'
import type { FailureFilter, FailureRow } from '../trace/index/rows.ts'
import { queryIndex } from './log.ts'

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

export const failedSince = () => Date.now() - milliseconds(environment().failedFor)

export async function listFailed(bus: Bus): Promise<{ failed: FailedTask[]; total: number }> {
  const since = failedSince()
  const { rows, total } = await queryIndex(bus, index => ({
    rows: index.failures({ since, limit: maxFailed }),
    total: index.failed(since),
  }))
  return { failed: await withErrors(bus, rows), total }
}

/** All that match the filter, and the error code if it is given, oldest first. */
export async function findFailed(bus: Bus, filter: FailureFilter, code?: string): Promise<FailedTask[]> {
  const rows = await queryIndex(bus, index => index.failures(filter))
  const found: FailedTask[] = []
  for (let from = 0; from < rows.length; from += maxFailed)
    found.push(...(await withErrors(bus, rows.slice(from, from + maxFailed))))
  return found.filter(failed => code === undefined || failed.code === code).reverse()
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

/** Removes a task from the list. False if it is not on the list. */
export async function dismissFailed(bus: Bus, task: string): Promise<boolean> {
  const [found] = await findFailed(bus, { task })
  if (!found) return false
  await bus.publish({
    id: dismissedId(task),
    type: dismissedType,
    source: '/cli',
    subject: task,
    correlationid: correlationOf(task),
    causationid: found.event,
    data: null,
  })
  return true
}
