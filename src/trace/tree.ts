import type { CloudEvent } from '../event.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import type { TaskEnd } from '../tasks/program.ts'

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
  /** Of the approval that a tool asks for before it runs: its call. */
  behind?: TraceNode | undefined
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
  readonly station: 'agent' | 'workflow'
  program?: string
  programVersion?: number
  /** The task that it goes on from, which had failed. */
  retryOf?: string
  readonly turns: CloudEvent[]
  /** Moments of the first and the last turn, ms since the epoch. */
  started?: number
  ended?: number
  end?: TaskEnd
  /** The event that said how it ended. */
  ending?: CloudEvent
}

/** Of the event that feeds an instance of a workflow with a key: the correlation of the instance, and where the event is from. */
export function linkOf({ event }: TraceNode): { correlation: string; from: string } | undefined {
  const fed = event.type === routedType ? routedEventIn(event) : undefined
  return fed && { correlation: event.correlationid, from: fed.correlationid }
}

export interface Spent {
  readonly tokens: number
  readonly cost: number
}

/** What a correlation did. Without parents are those whose cause is not on the log (any more). */
export interface Trace extends Branch {
  readonly events: number
  readonly spent: Spent
  /** Of what is a redrive or a fork of something: its name, as events carry it, and what it is for people. */
  readonly replays: ReadonlyMap<string, string>
}
