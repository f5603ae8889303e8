import type { CloudEvent } from '../event.ts'
import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { Position } from '../bus/driver.ts'
import { Replays, type ReplayTerms } from '../tasks/effects.ts'
import type { End } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { arrange } from './arrange.ts'
import { eventsAt, withData } from './index/events.ts'

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
  /** Of what is a redrive or a fork of something: its name, as events carry it, and what it is for people. */
  readonly replays: ReadonlyMap<string, string>
}

/** The trace of everything that shares a correlation, from where it lies on the log. @throws E_NOT_FOUND */
export async function traceOf(bus: Bus, correlation: string, positions: readonly Position[]): Promise<Trace> {
  const stored = await eventsAt(bus, positions)
  if (stored.length === 0) throw new TidingsError('E_NOT_FOUND', `no event of correlation ${correlation} is on the log`)
  const events = (await withData(bus, stored, isNeeded)).map(({ event }) => event)
  return { ...arrange(events), replays: await replaysOf(bus, events) }
}

/** What the tree is made from must be at hand; other large data may stay in its blob. */
const isNeeded = ({ type }: CloudEvent) => type === turnType || type === 'model.result' || type.endsWith('.failed')

async function replaysOf(bus: Bus, events: readonly CloudEvent[]): Promise<Map<string, string>> {
  const replays = new Replays(bus)
  const marks = new Set(events.map(({ replay }) => replay).filter(mark => mark !== undefined))
  const told = [...marks].map(async mark => [mark, replayText(mark, await replays.terms(mark))] as const)
  return new Map(await Promise.all(told))
}

/** `redrive of CORRELATION`, `fork of TASK@VERSION`; of what nobody wrote down, its mark. */
function replayText(mark: string, terms: ReplayTerms | undefined): string {
  if (!terms) return mark
  const { kind, of } = terms
  return `${kind} of ${'task' in of ? `${of.task}@${of.version}` : of.correlation}`
}
