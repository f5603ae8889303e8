import type { Bus } from '../bus/bus.ts'
import { isStillAwaited } from '../bus/delivery.ts'
import { instanceId, taskId, turnId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { isInvocation } from './fork.ts'
import type { TaskInput } from './inbox.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import type { Turn } from './program.ts'
import { lateDraft, mayAppearLater, retryLater } from './rules.ts'

/**
 * Whether an input starts its task, which has no turn yet: a request must still be awaited, and the event must not have started the
 * program in another form already. An agent has a task per event, a workflow one per correlation or key. Their ids differ, so
 * `commit` cannot detect it after an agent became a workflow.
 */
export async function shouldStart(bus: Bus, task: string, input: TaskInput): Promise<boolean> {
  const { event, program, joins, shared } = input
  // A cancellation ends the task before it starts.
  if (event.type === 'agent.cancel') return true
  if (isInvocation(event.type)) return isStillAwaited(bus, shared.delivery)
  // No check for the first delivery to an agent, which would cost every task a read.
  return (!joins && shared.delivery.attempt === 1) || !(await hasStarted(bus, program!, task, event))
}

/** Does not find what started a keyed instance, because the key is unknown here. */
async function hasStarted(bus: Bus, program: string, task: string, event: CloudEvent): Promise<boolean> {
  const { id, correlationid } = (event.type === routedType && routedEventIn(await bus.resolve(event))) || event
  for (const other of [taskId(correlationid, program, id), instanceId(correlationid, program)]) {
    const first = other === task ? undefined : await bus.get(turnId(other, 1), correlationid)
    if (first && ((await bus.resolve(first)).data as Turn).inputs.some(input => input.id === id)) return true
  }
  return false
}

/**
 * Ends an input whose task has an empty journal although the driver knows the task: the journal lags behind, or the task ended and was
 * purged.
 */
export async function endWithoutJournal(bus: Bus, task: string, { event, joins, shared }: TaskInput): Promise<void> {
  if (mayAppearLater(shared.delivery)) return shared.acknowledge(task, retryLater(shared.delivery))
  if (joins) await bus.publish(lateDraft(task, await bus.resolve(event)))
  shared.acknowledge(task)
}
