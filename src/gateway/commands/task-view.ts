import type { FoundTask } from '../../ask/find-task.ts'
import { programOfEnd } from '../../ask/task-end.ts'
import type { Bus } from '../../bus/bus.ts'
import { correlationOf } from '../../bus/ids.ts'
import { withoutStack, type ErrorData } from '../../errors.ts'
import { callOutcome } from '../../tasks/outcome.ts'
import { readTaskState } from '../../tasks/task-state.ts'

/** A task, as `GET /tasks/ID` shows it. */
export interface TaskView {
  readonly task: string
  /** The agent or workflow that was asked, or started by an event. */
  readonly target: string
  readonly correlationid: string
  readonly status: 'running' | 'completed' | 'failed' | 'cancelled'
  /** RFC 3339, in UTC. */
  readonly requestedAt: string
  readonly endedAt?: string
  readonly user?: string
  /** What a running task shows in `ctx.state`. */
  readonly state?: unknown
  /** Of a completed task. */
  readonly output?: unknown
  /** Of a task that failed or was cancelled. */
  readonly error?: ErrorData
}

/** `task`: what the log shows of it. */
export async function taskView(bus: Bus, { id, program, start, end }: FoundTask): Promise<TaskView> {
  const { user, time: requestedAt } = start
  const about = {
    task: id,
    target: program,
    correlationid: correlationOf(id),
    requestedAt,
    ...(user !== undefined && { user }),
  }
  if (!end) {
    const shown = await readTaskState(bus, id)
    return { ...about, status: 'running', ...(shown?.state !== undefined && { state: shown.state }) }
  }
  const whole = await bus.resolve(end)
  const outcome = callOutcome({ ...whole, data: withoutStack(whole.data) })
  const status = end.type.slice('agent.task.'.length) as TaskView['status']
  return { ...about, target: programOfEnd(end), status, endedAt: end.time, ...outcome }
}
