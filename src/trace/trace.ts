import type { CloudEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { End } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { arrange } from './arrange.ts'

/*
 * A user action as a tree. An event holds what it caused; a task holds what it emitted, in the order of the log, so that
 * a loop of a hundred steps is a list and not a staircase; a request holds its answers; turns are folded into their task.
 *
 *     email.received ─▶ task of planner ─┬─ model.invoke   ◀ model.result
 *                                        ├─ agent.invoke   ◀ agent.task.completed ─▶ task of researcher ─▶ …
 *                                        └─ plan.ready ─▶ whoever subscribes
 */

export interface Branch {
  readonly nodes: TraceNode[]
  readonly tasks: TraceTask[]
}

/** An event that is neither a turn, nor an answer or a withdrawal of a request that is in the tree. */
export interface TraceNode extends Branch {
  readonly kind: 'node'
  readonly event: CloudEvent
  /** The task and the turn that emitted it. */
  readonly by?: { readonly task: TraceTask; readonly turn: number }
  readonly answers: Answer[]
  /** Said that nobody waits for the answer any more. */
  withdrawal?: CloudEvent
}

export interface Answer {
  readonly event: CloudEvent
  /** `late`: another input closed the call, or its task had ended. `open`: no turn has looked at it yet. */
  readonly verdict: 'taken' | 'late' | 'open'
}

export interface TraceTask extends Branch {
  readonly kind: 'task'
  readonly id: string
  program?: string
  programVersion?: number
  readonly turns: CloudEvent[]
  /** Moments of the first and the last turn, ms since the epoch. */
  started?: number
  ended?: number
  end?: End
  /** The event that said how it ended. */
  ending?: CloudEvent
}

export interface Spent {
  readonly tokens: number
  readonly cost: number
}

/** What a correlation did. Without parents are those whose cause is not on the log (any more). */
export interface Trace extends Branch {
  readonly events: number
  readonly spent: Spent
}

/** The trace of everything that shares a correlation. @throws E_NOT_FOUND */
export async function traceOf(bus: Bus, correlation: string): Promise<Trace> {
  const events: CloudEvent[] = []
  for await (const { event } of bus.read({ correlation })) events.push(await readable(bus, event))
  if (events.length === 0) throw new TidingsError('E_NOT_FOUND', `no event of correlation ${correlation} is on the log`)
  return arrange(events)
}

/** What the tree is made from must be at hand; other large data may stay in its blob. */
async function readable(bus: Bus, event: CloudEvent): Promise<CloudEvent> {
  if (!event.dataref || !(event.type === turnType || event.type === 'model.result' || event.type.endsWith('.failed')))
    return event
  try {
    return await bus.resolve(event)
  } catch {
    return event
  }
}
