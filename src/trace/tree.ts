import type { CloudEvent } from '../event.ts'
import { parseId } from '../bus/ids.ts'
import { routedEventIn, routedType } from '../bus/routed.ts'
import type { TaskEnd, Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'

/*
 * A user action as a tree. An event contains the events that it caused. A task contains the events that it emitted, in log order, so that
 * a loop of a hundred steps is a flat list. A request contains its answers. Turns are folded into their task.
 *
 *     email.received ─▶ task of planner ─┬─ model.invoke   ◀ model.result
 *                                        ├─ agent.invoke   ◀ agent.task.completed ─▶ task of researcher ─▶ …
 *                                        └─ plan.ready ─▶ subscribers
 */

export interface Branch {
  readonly nodes: TraceNode[]
  readonly tasks: TraceTask[]
}

/** An event that is neither a turn nor the answer or cancellation of a request in the tree. */
export interface TraceNode extends Branch {
  readonly kind: 'node'
  readonly event: CloudEvent
  /** The task and the turn that emitted it. */
  readonly by?: { readonly task: TraceTask; readonly turn: number }
  readonly answers: TraceAnswer[]
  /** On the approval of a tool call: that call. */
  gatedCall?: TraceNode | undefined
  /** The event by which the caller cancelled the request. */
  cancellation?: CloudEvent
}

export interface TraceAnswer {
  readonly event: CloudEvent
  /** `late`: another input closed the call, or its task had ended. `open`: no turn has processed it yet. */
  readonly verdict: 'taken' | 'late' | 'open'
}

export interface TraceTask extends Branch {
  readonly kind: 'task'
  readonly id: string
  readonly station: 'agent' | 'workflow'
  program?: string
  programVersion?: number
  /** The failed task that it retries. */
  retryOf?: string
  /** The operator who started it, by a retry, a fork or a redrive. */
  operator?: string
  readonly turns: CloudEvent[]
  /** Times of the first and the last turn, ms since the epoch. */
  started?: number
  ended?: number
  end?: TaskEnd
  /** The event with the outcome of the task. */
  ending?: CloudEvent
}

/** For an event routed to a workflow instance with a key: the correlation of the instance and that of the original event. */
export function linkOf({ event }: TraceNode): { correlation: string; from: string } | undefined {
  const fed = event.type === routedType ? routedEventIn(event) : undefined
  return fed && { correlation: event.correlationid, from: fed.correlationid }
}

/** The turn in an event. Its data may be gone, and outside publishers may publish any data under the type of turns. */
export function turnIn({ id, type, data }: CloudEvent): Turn | undefined {
  const parsed = type === turnType ? parseId(id) : undefined
  const turn = data as Partial<Turn> | null
  const isTurn = parsed && parsed.ordinal === undefined && Array.isArray(turn?.inputs) && Array.isArray(turn.emits)
  return isTurn ? (turn as Turn) : undefined
}

export interface TraceUsage {
  readonly tokens: number
  readonly cost: number
}

/** The trace of a correlation. Items whose cause is not on the log are roots. */
export interface Trace extends Branch {
  readonly events: number
  readonly spent: TraceUsage
  /** A description of each redrive and fork, by the value of the attribute `replay`. */
  readonly replays: ReadonlyMap<string, string>
}
