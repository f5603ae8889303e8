import { createEvent, inheritedAttributes, type CloudEvent } from '../event.ts'
import { TidingsError, type ErrorData } from '../errors.ts'
import { turnId } from '../bus/ids.ts'
import type { OpenCall, TaskIdentity, TurnBuilder } from './turn.ts'

/** The answer that the engine makes when the wait for a call ends: a timer fires, or the call expires. */
export function expiredAnswer(call: OpenCall, { source, start, hops }: TaskIdentity, now: number): CloudEvent {
  const timer = call.type === 'timer.set'
  const error = new TidingsError(
    'E_CALL_EXPIRED',
    `${call.type} to "${call.target}" was not answered before its deadline`,
  )
  return {
    ...createEvent({
      id: timer ? `${call.id}:fired` : `${call.id}:expired`,
      type: timer ? 'timer.fired' : 'call.expired',
      source,
      ...inheritedAttributes(start),
      causationid: call.id,
      hops,
      call: call.id,
      data: timer ? { due: new Date(call.until ?? now).toISOString() } : { error: error.toJSON() },
    }),
    time: new Date(now).toISOString(),
  }
}

export const refusedType = 'task.refused'

/** Tells a task that can compensate that its turn was refused. The task then undoes its earlier steps and fails. */
export const refusalEvent = ({ task, source, start, hops }: TaskIdentity, turn: TurnBuilder, error: ErrorData) => ({
  ...createEvent({
    id: `${turnId(task, turn.version)}:refused`,
    type: refusedType,
    source,
    ...inheritedAttributes(start),
    causationid: turnId(task, turn.version),
    hops,
    data: { error },
  }),
  time: new Date(turn.now).toISOString(),
})
