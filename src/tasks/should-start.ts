import type { Bus } from '../bus/bus.ts'
import { isStillAwaited } from '../bus/delivery.ts'
import { taskId, turnId } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { isInvocation } from './fork.ts'
import type { TaskInput } from './inbox.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import { instanceId } from './instances.ts'
import type { Turn } from './program.ts'

/**
 * Whether an input starts its task, which has no turn: somebody waits for it, and the program has not begun with it in
 * another form. An agent has a task for each event, a workflow one for each correlation or key: their ids differ, so no
 * fence would say so.
 */
export async function shouldStart(
  bus: Bus,
  task: string,
  { event, program, joins, shared }: TaskInput,
): Promise<boolean> {
  // It ends the task before it begins.
  if (event.type === 'agent.cancel') return true
  if (isInvocation(event.type)) return isStillAwaited(bus, shared.delivery)
  // What comes to an agent for the first time is not worth a look, which would cost each of its tasks one.
  return (!joins && shared.delivery.attempt === 1) || !(await hasStarted(bus, program!, task, event))
}

/** What an instance under a key has begun with is not found: the form that looks does not know the key. */
async function hasStarted(bus: Bus, program: string, task: string, event: CloudEvent): Promise<boolean> {
  const { id, correlationid } = (event.type === routedType && routedEventIn(await bus.resolve(event))) || event
  const others = [taskId(correlationid, program, id), instanceId(correlationid, program)].filter(
    other => other !== task,
  )
  const begun = await Promise.all(
    others.map(async other => {
      const first = await bus.get(turnId(other, 1), correlationid)
      return first && ((await bus.resolve(first)).data as Turn).inputs.some(input => input.id === id)
    }),
  )
  return begun.includes(true)
}
