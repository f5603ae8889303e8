import { TaskFinder, type FoundTask } from '../../ask/find-task.ts'
import { StreamParts } from '../../ask/parts.ts'
import type { Bus } from '../../bus/bus.ts'
import { correlationOf, isTaskId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import { findApproval, isOpen } from '../../tasks/approval-find.ts'
import { declaredApps } from '../../tasks/declared-apps.ts'
import { turnType } from '../../tasks/turn.ts'
import { callOutcome } from '../../tasks/outcome.ts'
import { CallError } from '../../tasks/script.ts'
import type { WaitingApproval } from './elicitation.ts'
import { failureOf, resultOf, type ToolResult } from './results.ts'

/** A task as MCP shows it, in both eras. */
export interface TaskStatus {
  readonly taskId: string
  readonly status: 'working' | 'input_required' | 'completed' | 'cancelled'
  readonly statusMessage?: string
  readonly createdAt: string
  readonly lastUpdatedAt: string
  /** How long it can be found, counted from its creation, in ms. */
  readonly ttlMs: number
  readonly pollIntervalMs: number
}

/** What the log has of a task. */
export interface ReadTask {
  readonly found: FoundTask
  readonly status: TaskStatus
  /** Requests for approval that it waits for. */
  readonly waitsFor: readonly WaitingApproval[]
  /** Of a task that has ended. */
  readonly result?: ToolResult
}

const defaultRetentionMs = 7 * 24 * 3_600_000

/**
 * Reads a task of a tenant. `mayAnswerForm`: whether the client may answer a request for approval, which then is its input.
 * @throws E_NOT_FOUND, E_LOG_UNAVAILABLE
 */
export async function readTask(
  bus: Bus,
  taskId: string,
  tenant: string,
  mayAnswerForm: (approval: WaitingApproval) => boolean,
): Promise<ReadTask> {
  if (!isTaskId(taskId)) throw notFound(taskId)
  const finder = new TaskFinder(bus, taskId)
  const parts = new StreamParts()
  const asked = new Map<string, WaitingApproval>()
  let lastUpdatedAt = ''
  for await (const { event } of bus.read({ correlation: correlationOf(taskId) })) {
    if (event.tenant !== tenant) continue
    await finder.see(event)
    lastUpdatedAt = event.time
    if (event.type === turnType) continue
    for (const part of parts.ofEvent(await bus.resolveIfStored(event)))
      if (part.type === 'approval') asked.set(part.call, { id: part.call, ...part })
      else if (part.type === 'answer') asked.delete(part.call)
  }
  const { found } = finder
  if (!found) throw notFound(taskId)
  const { end, start } = found
  const waitsFor = end ? [] : await stillWaiting(bus, [...asked.values()])
  const about = {
    taskId,
    createdAt: start.time,
    lastUpdatedAt: end?.time ?? lastUpdatedAt,
    ...(await lifetimeOf(bus, start.time, end?.time)),
  }
  if (!end) {
    const isInput = waitsFor.some(mayAnswerForm)
    const status = isInput ? ('input_required' as const) : ('working' as const)
    const statusMessage = waitsFor.map(waitingText).join('\n')
    return { found, waitsFor, status: { ...about, status, ...(statusMessage !== '' && { statusMessage }) } }
  }
  const outcome = callOutcome(await bus.resolve(end))
  const result =
    'error' in outcome
      ? failureOf(new CallError(outcome.error), bus.redactor)
      : await resultOf(bus, tenant, outcome.output)
  const isCancelled = end.type === 'agent.task.cancelled'
  const why = isCancelled && 'error' in outcome ? { statusMessage: bus.redactor.text(outcome.error.message) } : {}
  return { found, waitsFor, result, status: { ...about, status: isCancelled ? 'cancelled' : 'completed', ...why } }
}

/** For people and models. */
export const waitingText = ({ id, name, approvers }: WaitingApproval): string =>
  `"${name}" must be approved by ${approvers?.join(' or ') ?? 'a person'}: in the console, or with tidings approve ${id}`

const notFound = (taskId: string) =>
  new TidingsError('E_NOT_FOUND', `there is no task "${taskId.slice(0, 80)}"`, {
    next: 'Pass the id that the call answered with. A task is kept for the `retention` of app() after it began, and until it has ended.',
  })

/** An answer that the task has not read is on the log already. */
async function stillWaiting(bus: Bus, asked: readonly WaitingApproval[]): Promise<WaitingApproval[]> {
  const open = await Promise.all(
    asked.map(async approval => {
      const { request, answer, claim } = await findApproval(bus, approval.id)
      return !answer && !claim && (await isOpen(bus, request)) ? [approval] : []
    }),
  )
  return open.flat()
}

/** Events stay for the retention, and as long as their task is alive. Who waits long asks less often. */
async function lifetimeOf(bus: Bus, createdAt: string, endedAt: string | undefined) {
  const retention = Math.min(...(await declaredApps(bus)).map(app => app.retention), Infinity)
  const age = Math.max(0, (endedAt === undefined ? bus.now() : Date.parse(endedAt)) - Date.parse(createdAt))
  const ttlMs = Math.max(Number.isFinite(retention) ? retention : defaultRetentionMs, age)
  return { ttlMs: Math.round(ttlMs), pollIntervalMs: Math.round(Math.min(10_000, Math.max(500, age / 20))) }
}
