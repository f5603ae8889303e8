import { createEvent, inheritedAttributes, type CloudEvent, type Draft } from '../event.ts'
import { failure, type ErrorData } from '../errors.ts'
import { turnId } from '../bus/ids.ts'
import { awaitsType } from './waits.ts'
import type { OpenCall, TaskIdentity, TurnBuilder } from './turn.ts'

/** The answer that the engine makes when the wait for a call ends: a timer fires, or the call expires. */
export function expiredAnswer({ id, type, target, until }: OpenCall, task: TaskIdentity, now: number): CloudEvent {
  if (type === 'timer.set') {
    const data = { due: new Date(until ?? now).toISOString() }
    return engineEvent(task, now, { id: `${id}:fired`, type: 'timer.fired', causationid: id, call: id, data })
  }
  const problem = type === awaitsType ? `no event "${target}" came` : `${type} to "${target}" was not answered`
  const error = failure('E_CALL_EXPIRED', `${problem} before its deadline`)
  const draft = { id: `${id}:expired`, type: 'call.expired', causationid: id, call: id, data: { error } }
  return engineEvent(task, now, draft)
}

/** Cancels a task that was asked from outside when its deadline passes. No task receives it as a delivery: it has no target. */
export function deadlineCancellation(task: TaskIdentity, version: number, now: number): CloudEvent {
  const id = `${turnId(task.task, version)}:deadline`
  const data = { reason: deadlinePassed }
  return engineEvent(task, now, { id, type: 'agent.cancel', subject: task.task, causationid: task.start.id, data })
}

export const deadlinePassed = 'its deadline passed'

export const refusedType = 'task.refused'

/** Tells a task that can compensate that its turn was refused. The task then undoes its earlier steps and fails. */
export function refusalEvent(task: TaskIdentity, { version, now }: TurnBuilder, error: ErrorData): CloudEvent {
  const turn = turnId(task.task, version)
  return engineEvent(task, now, { id: `${turn}:refused`, type: refusedType, causationid: turn, data: { error } })
}

const engineEvent = ({ source, start, hops }: TaskIdentity, now: number, draft: Draft): CloudEvent => ({
  ...createEvent({ ...draft, source, ...inheritedAttributes(start), hops }),
  time: new Date(now).toISOString(),
})
