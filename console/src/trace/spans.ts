import type { CloudEvent } from '../../../src/event.ts'
import { callOfApproval, claimId } from '../../../src/bus/ids.ts'
import { approvalType } from '../../../src/tasks/approval.ts'
import { isInvocation } from '../../../src/tasks/fork.ts'
import { calledTask, decisiveAnswer } from '../../../src/trace/outcome.ts'
import type { TraceNode, TraceTask } from '../../../src/trace/tree.ts'

/** What a call or task did for a while, in ms since the epoch. `to`: Infinity while it goes on. */
export interface Span {
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

/**
 * The time of a call. The log says when an attempt failed and when the next one may begin, when a call was claimed, and while a person was
 * asked; between request and answer of any other call it does not say when the worker began.
 */
export function spansOfCall(node: TraceNode): Span[] {
  const [from, to] = [ms(node.event), endOfCall(node)]
  if (isWait(node)) return [{ kind: 'waiting', from, to }]
  // Its task has no turn yet.
  if (isInvocation(node.event.type)) return [{ kind: 'queued', from, to }]
  const parts: Span[] = []
  for (const child of node.nodes) {
    const { id, type, data } = child.event
    const at = ms(child.event)
    if (/^\w+\.delayed$/.test(type)) parts.push({ kind: 'backoff', from: at, to: msIn(data, 'until', at) })
    else if (callOfApproval(id) === node.event.id) parts.push({ kind: 'waiting', from: at, to: endOfCall(child) })
    else if (id === claimId(node.event.id)) parts.push({ kind: 'queued', from, to: at })
  }
  return withParts(from, to, parts)
}

/** Of tasks whose times are known already. */
export type KnownSpans = Map<TraceTask, readonly Span[]>

/** The time of a task: queued until its first turn, and waiting while all that it waits for are people, times and events. */
export function spansOfTask(task: TraceTask, requested: number | undefined, known: KnownSpans): Span[] {
  const { started } = task
  if (started === undefined) return requested === undefined ? [] : [{ kind: 'queued', from: requested, to: Infinity }]
  const queued: Span[] =
    requested !== undefined && requested < started ? [{ kind: 'queued', from: requested, to: started }] : []
  return [...queued, ...turnSpans(task, started, known)]
}

/** From the first turn on. */
function turnSpans(task: TraceTask, started: number, known: KnownSpans): readonly Span[] {
  const before = known.get(task)
  if (before) return before
  const to = task.end === undefined ? Infinity : (task.ended ?? started)
  const spans = withParts(started, to, waitsOf(task, started, to, known))
  known.set(task, spans)
  return spans
}

const working: ReadonlySet<Span['kind']> = new Set(['running', 'queued'])

/** When a task only waited. A workflow decides and waits; code of an agent also runs while no call is open. */
function waitsOf({ nodes, station }: TraceTask, from: number, to: number, known: KnownSpans): Span[] {
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
  const spans: Span[] = []
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

function add(spans: Span[], span: Span) {
  const last = spans.at(-1)
  if (last?.kind === span.kind && last.to === span.from) spans[spans.length - 1] = { ...last, to: span.to }
  else spans.push(span)
}

/** Parts of a period, and `running` between them. */
function withParts(from: number, to: number, parts: readonly Span[]): Span[] {
  const spans: Span[] = []
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
