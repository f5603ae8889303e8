import type { FoundTask } from '../../ask/find-task.ts'
import type { RemoteTaskState } from '../../ask/remote-task-state.ts'
import { programOfEnd } from '../../ask/task-end.ts'
import type { Bus } from '../../bus/bus.ts'
import { correlationOf } from '../../bus/ids.ts'
import { withoutStack } from '../../errors.ts'
import { callOutcome } from '../../tasks/outcome.ts'
import { readTaskState } from '../../tasks/task-state.ts'

/** What the log shows of a task. */
export async function taskView(bus: Bus, { id, program, start, end }: FoundTask): Promise<RemoteTaskState> {
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
  const status = end.type.slice('agent.task.'.length) as RemoteTaskState['status']
  return { ...about, target: programOfEnd(end), status, endedAt: end.time, ...outcome }
}
