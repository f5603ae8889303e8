import type { CloudEvent } from '../event.ts'
import { callOfApproval, claimId } from '../bus/ids.ts'
import { approvalType } from '../tasks/approval.ts'
import { isInvocation } from '../tasks/fork.ts'
import { calledTask, decisiveAnswer, workTime } from './outcome.ts'
import type { TraceNode, TraceTask } from './tree.ts'

/** What a call or task did for a while, in ms since the epoch. `to`: Infinity while it goes on. */
export interface TimeSpan {
  /** `queued`: not started yet. `waiting`: for a person, for time, or for an event. `backoff`: between two attempts. */
  readonly kind: 'queued' | 'running' | 'waiting' | 'backoff'
  readonly from: number
  readonly to: number
}

const ms = ({ time }: CloudEvent) => Date.parse(time)

/** Calls that nobody works on. */
const waits: ReadonlySet<string> = new Set(['timer.set', approvalType, 'task.awaits'])

const isWait = ({ event }: TraceNode): boolean => waits.has(event.type)

/** When a call ended: with the answer that counted, else when it was taken back; Infinity while it is open. */
function endOfCall({ answers, cancellation, by }: TraceNode): number {
  const answer = decisiveAnswer(answers)
  if (answer) return ms(answer.event)
  if (cancellation) return ms(cancellation)
  return by?.task.ended ?? Infinity
}

/** The end of an attempt, and the pause after it. */
interface AttemptEnd {
  readonly at: number
  /** When a worker began the attempt, if the log says so. */
  readonly began: number | undefined
  readonly pause?: TimeSpan
}

function beganAt(end: CloudEvent): number | undefined {
  const ranMs = workTime(end)
  return ranMs === undefined ? undefined : ms(end) - ranMs
}

/**
 * The time of a call: in the queue, with a worker, until the next attempt, or until a person has answered. Where the log does not say when
 * a worker began, because the answer has not come or is that of an older worker, the call counts as running.
 */
export function spansOfCall(node: TraceNode): TimeSpan[] {
  const [from, to] = [ms(node.event), endOfCall(node)]
  if (isWait(node)) return [{ kind: 'waiting', from, to }]
  // Its task has no turn yet.
  if (isInvocation(node.event.type)) return [{ kind: 'queued', from, to }]
  const ends: AttemptEnd[] = []
  let claimed: number | undefined
  for (const { event, ...child } of node.nodes) {
    const at = ms(event)
    if (/^\w+\.delayed$/.test(event.type))
      ends.push({ at, began: beganAt(event), pause: { kind: 'backoff', from: at, to: msIn(event.data, 'until', at) } })
    else if (callOfApproval(event.id) === node.event.id)
      ends.push({ at, began: at, pause: { kind: 'waiting', from: at, to: endOfCall({ event, ...child }) } })
    else if (event.id === claimId(node.event.id)) claimed = at
  }
  const answer = decisiveAnswer(node.answers)?.event
  ends.sort((one, other) => one.at - other.at)
  return spansBetween(from, to, [...ends, { at: to, began: (answer && beganAt(answer)) ?? claimed }])
}

/** Clocks of several machines are not in step, so each time is moved into the period that it is about. */
function spansBetween(from: number, to: number, ends: readonly AttemptEnd[]): TimeSpan[] {
  const spans: TimeSpan[] = []
  let at = from
  const until = (moment: number, kind: TimeSpan['kind']) => {
    const end = Math.min(moment, to)
    if (end > at) add(spans, { kind, from: at, to: end })
    at = Math.max(at, end)
  }
  for (const { at: end, began, pause } of ends) {
    if (began !== undefined) until(Math.min(began, end), 'queued')
    until(end, 'running')
    if (pause) until(pause.to, pause.kind)
  }
  return spans.length > 0 ? spans : [{ kind: 'running', from, to: Math.max(from, to) }]
}

/** How long a call was in the queue and how long a worker had it; undefined if the log does not say. */
export function callTimes(node: TraceNode): { readonly queuedMs: number; readonly ranMs: number } | undefined {
  const answer = decisiveAnswer(node.answers)?.event
  if (!answer || workTime(answer) === undefined) return undefined
  const sum = (kind: TimeSpan['kind']) =>
    spansOfCall(node).reduce((total, span) => total + (span.kind === kind ? span.to - span.from : 0), 0)
  return { queuedMs: sum('queued'), ranMs: sum('running') }
}

/** Of tasks whose times are known already. */
export type KnownSpans = Map<TraceTask, readonly TimeSpan[]>

/** The time of a task: queued until its first turn, and waiting while all that it waits for are people, times and events. */
export function spansOfTask(task: TraceTask, requested: number | undefined, known: KnownSpans): TimeSpan[] {
  const { started } = task
  if (started === undefined) return requested === undefined ? [] : [{ kind: 'queued', from: requested, to: Infinity }]
  const queued: TimeSpan[] =
    requested !== undefined && requested < started ? [{ kind: 'queued', from: requested, to: started }] : []
  return [...queued, ...turnSpans(task, started, known)]
}

/** From the first turn on. */
function turnSpans(task: TraceTask, started: number, known: KnownSpans): readonly TimeSpan[] {
  const before = known.get(task)
  if (before) return before
  const to = task.end === undefined ? Infinity : (task.ended ?? started)
  const spans = withParts(started, to, waitsOf(task, started, to, known))
  known.set(task, spans)
  return spans
}

const working: ReadonlySet<TimeSpan['kind']> = new Set(['running', 'queued'])

/** When a task only waited. A workflow decides and waits; code of an agent also runs while no call is open. */
function waitsOf({ nodes, station }: TraceTask, from: number, to: number, known: KnownSpans): TimeSpan[] {
  const changes: { at: number; work: number; wait: number }[] = []
  for (const node of nodes) {
    if (node.answers.length === 0 && node.event.replyto === undefined && !isWait(node)) continue
    const called = calledTask(node)
    // What it called may wait itself.
    const spans = called?.started === undefined ? spansOfCall(node) : turnSpans(called, called.started, known)
    for (const span of spans) {
      const [work, wait] = working.has(span.kind) ? [1, 0] : [0, 1]
      changes.push({ at: span.from, work, wait }, { at: span.to, work: -work, wait: -wait })
    }
  }
  changes.sort((one, other) => one.at - other.at)
  const spans: TimeSpan[] = []
  let [work, wait, begin] = [0, 0, from]
  for (const change of [...changes, { at: to, work: 0, wait: 0 }]) {
    const isWaiting = work === 0 && (wait > 0 || station === 'workflow')
    if (isWaiting && change.at > begin) add(spans, { kind: 'waiting', from: begin, to: change.at })
    work += change.work
    wait += change.wait
    begin = Math.max(begin, change.at)
  }
  return spans
}

function add(spans: TimeSpan[], span: TimeSpan) {
  const last = spans.at(-1)
  if (last?.kind === span.kind && last.to === span.from) spans[spans.length - 1] = { ...last, to: span.to }
  else spans.push(span)
}

/** Parts of a period, and `running` between them. */
function withParts(from: number, to: number, parts: readonly TimeSpan[]): TimeSpan[] {
  const spans: TimeSpan[] = []
  let at = from
  for (const part of parts.toSorted((one, other) => one.from - other.from)) {
    const [begin, end] = [Math.max(at, Math.min(part.from, to)), Math.min(part.to, to)]
    if (begin > at) spans.push({ kind: 'running', from: at, to: begin })
    if (end > begin) spans.push({ kind: part.kind, from: begin, to: end })
    at = Math.max(at, begin, end)
  }
  if (to > at || spans.length === 0) spans.push({ kind: 'running', from: at, to: Math.max(at, to) })
  return spans
}

function msIn(data: unknown, name: string, otherwise: number): number {
  const value = Date.parse(String((data as Record<string, unknown> | null)?.[name]))
  return Number.isFinite(value) ? value : otherwise
}
