import type { CloudEvent } from '../../../src/event.ts'
import { buildTraceTree } from '../../../src/trace/build-tree.ts'
import { parseId } from '../../../src/bus/ids.ts'
import { isTapped } from '../../../src/bus/tapped.ts'
import {
  between,
  decisiveAnswer,
  decisionText,
  delayText,
  endText,
  type OutcomeStatus,
  requestOutcome,
  retriesText,
  taskOutcome,
  usageOf,
} from '../../../src/trace/outcome.ts'
import { publisherOf } from '../../../src/trace/publisher.ts'
import { shortId } from '../../../src/trace/short-id.ts'
import { type KnownSpans, spansOfCall, spansOfTask, type TimeSpan } from '../../../src/trace/spans.ts'
import { summarizeEvent } from '../../../src/trace/summarize.ts'
import { asCalled } from '../../../src/tasks/effects.ts'
import { stepName, stepType } from '../../../src/tasks/step-request.ts'
import { elapsed } from '../../../src/trace/text.ts'
import { linkOf, type TraceNode, type TraceTask } from '../../../src/trace/tree.ts'
import { walkTrace, type TraceStep } from '../../../src/trace/walk.ts'
import { busyPeriods, longIdles, type Period } from './idle.ts'

/** An event, a call with its answer, or a task, as a trace shows it on one line. */
export interface TraceLine {
  /** Number of the line, the same as long as the trace is open. */
  readonly n: number
  readonly depth: number
  readonly parent?: number
  /** The event that the line opens. */
  readonly event: string
  /** The event that answered the call, or ended the task. */
  readonly answer?: string
  readonly task?: string
  /** Decides the colour. */
  readonly type: string
  /** `agent`, `tool`, or the type of the event. */
  readonly label: string
  /** Who is called. */
  readonly name?: string
  /** Version of the program. */
  readonly version?: number
  /** The turn that emitted it. */
  readonly turn?: number
  readonly status?: OutcomeStatus | 'late'
  readonly note: string
  readonly problem?: string
  /** What is unusual: a retry, a fork, a hand-over. */
  readonly tags: readonly string[]
  readonly from: number
  /** Infinity while it is open. */
  readonly to: number
  readonly spans: readonly TimeSpan[]
  /** When the task decided. */
  readonly turns: readonly number[]
  /** Of the line and all below it. */
  readonly tokens: number
  readonly cost: number
  /** How many lines are below it. */
  readonly below: number
}

export interface TraceTotals {
  readonly events: number
  readonly tasks: number
  readonly calls: number
  readonly failed: number
  readonly open: number
  readonly tokens: number
  readonly cost: number
  readonly from: number
  readonly to: number
  /** Periods until `to` that the time axis folds. */
  readonly idles: readonly Period[]
  /** Until when calls ran: Infinity while one does. */
  readonly busyUntil: number
}

type Draft = { -readonly [Key in keyof TraceLine]: TraceLine[Key] }

/** Makes the lines of a trace. Lines keep their numbers from one time to the next. */
export class TraceLines {
  /** By the event that a line opens, which no other line does. */
  readonly #numbers = new Map<string, number>()
  /** By event, including answers and turns. */
  readonly #lineOf = new Map<string, number>()

  /** The line of an event. */
  lineOf(event: string): number | undefined {
    return this.#lineOf.get(event)
  }

  /** The line that shows an event: its own, else that of its task, as of a turn. */
  find(event: string): number | undefined {
    const turn = parseId(event)
    return this.#lineOf.get(event) ?? (turn && this.#lineOf.get(turn.task))
  }

  build(events: readonly CloudEvent[]): { lines: TraceLine[]; totals: TraceTotals } {
    const trace = buildTraceTree(events)
    const lines: Draft[] = []
    const placeOf = new Map<unknown, number>()
    const known: KnownSpans = new Map()
    const totals = { events: trace.events, tasks: 0, calls: 0, failed: 0, open: 0, from: Infinity, to: -Infinity }
    for (const step of walkTrace(trace)) {
      const above = step.parent === undefined ? undefined : lines[placeOf.get(step.parent)!]
      const depth = above ? above.depth + 1 : 0
      const drafts = draftsOf(step, known).map((draft, i) => this.#numbered(draft, above, depth + (i > 0 ? 1 : 0)))
      placeOf.set(step.item, lines.length)
      const [main, ...late] = drafts as [Draft, ...Draft[]]
      for (const each of late) each.parent = main.n
      this.#index(step, main, late)
      count(totals, step, main)
      lines.push(...drafts)
    }
    sumUp(lines)
    const busy = busyPeriods(lines)
    const idles = longIdles(busy, totals.to)
    return { lines, totals: { ...totals, ...trace.spent, idles, busyUntil: busy.at(-1)?.to ?? totals.to } }
  }

  #numbered(draft: Omit<Draft, 'n' | 'depth' | 'below'>, above: Draft | undefined, depth: number): Draft {
    let n = this.#numbers.get(draft.event)
    if (n === undefined) this.#numbers.set(draft.event, (n = this.#numbers.size))
    return { n, depth, below: 0, ...draft, ...(above && { parent: above.n }) }
  }

  #index({ item, called }: TraceStep, main: Draft, late: readonly Draft[]): void {
    for (const task of item.kind === 'task' ? [item] : called ? [called] : []) {
      this.#lineOf.set(task.id, main.n)
      if (task.ending) this.#lineOf.set(task.ending.id, main.n)
    }
    if (item.kind === 'task') return
    this.#lineOf.set(item.event.id, main.n)
    for (const { event } of item.answers) this.#lineOf.set(event.id, main.n)
    for (const each of late) this.#lineOf.set(each.event, each.n)
  }
}

function count(
  totals: Record<'tasks' | 'calls' | 'failed' | 'open' | 'from' | 'to', number>,
  step: TraceStep,
  line: Draft,
) {
  if (line.task !== undefined) totals.tasks++
  else if (line.status !== undefined) totals.calls++
  if (line.status === 'failed' || line.status === 'expired') totals.failed++
  if (line.status === 'running' || line.status === 'waiting') totals.open++
  totals.from = Math.min(totals.from, line.from)
  totals.to = Math.max(totals.to, line.from, Number.isFinite(line.to) ? line.to : 0, line.turns.at(-1) ?? 0)
}

/** Adds up what is below each line. */
function sumUp(lines: readonly Draft[]) {
  const byNumber = new Map(lines.map(line => [line.n, line]))
  for (let i = lines.length - 1; i >= 0; i--) {
    const { parent, tokens, cost, below } = lines[i]!
    const above = parent === undefined ? undefined : byNumber.get(parent)
    if (!above) continue
    above.tokens += tokens
    above.cost += cost
    above.below += below + 1
  }
}

type Part = Omit<Draft, 'n' | 'depth' | 'below'>

function draftsOf(step: TraceStep, known: KnownSpans): Part[] {
  const { item, called, parent } = step
  const tags = [...replayTag(item, parent)]
  if (item.kind === 'task') return [taskPart(item, undefined, step, tags, known)]
  const late = item.answers.filter(({ verdict }) => verdict === 'late').map(({ event }) => latePart(item, event))
  const link = linkOf(item)
  if (link) tags.push(parent ? `instance ${shortId(link.correlation)}` : `from ${shortId(link.from)}`)
  return [called ? taskPart(called, item, step, tags, known) : nodePart(item, tags), ...late]
}

function* replayTag(item: TraceStep['item'], parent: TraceStep['parent']): Generator<string> {
  const replay = replayOf(item)
  if (replay !== undefined && !(parent && replayOf(parent) === replay)) yield replay.slice(0, replay.indexOf('/'))
}

const replayOf = (item: TraceNode | TraceTask) => (item.kind === 'task' ? item.turns[0] : item.event)?.replay

/** `request`: the call that started the task by name. */
function taskPart(
  task: TraceTask,
  request: TraceNode | undefined,
  { parent }: TraceStep,
  tags: readonly string[],
  known: KnownSpans,
): Part {
  const { id, station, program, programVersion, turns, started, ending, retryOf, operator } = task
  const outcome = (request && requestOutcome(request)) ?? taskOutcome(task)
  const { conversation, guard } = (request?.event.data ?? {}) as { conversation?: object; guard?: unknown }
  const start = request?.event ?? (parent?.kind === 'node' ? parent.event : undefined)
  const requested = start && Date.parse(start.time)
  const answer = (request && decisiveAnswer(request.answers)?.event) ?? ending
  const spans = spansOfTask(task, requested, known)
  const from = spans[0]?.from ?? started ?? Date.parse(turns[0]?.time ?? '')
  return {
    event: request?.event.id ?? turns[0]?.id ?? id,
    ...(answer && { answer: answer.id }),
    task: id,
    type: station === 'workflow' ? 'workflow.task' : 'agent.task',
    label: station,
    name: program ?? '?',
    ...(programVersion !== undefined && { version: programVersion }),
    ...(request?.by && { turn: request.by.turn }),
    status: outcome.status,
    ...(outcome.problem !== undefined && { problem: outcome.problem }),
    note: ending && task.end === 'completed' ? summarizeEvent(ending) : request ? summarizeEvent(request.event) : '',
    tags: [
      ...tags,
      ...(retryOf === undefined ? [] : [`retry of ${shortId(retryOf, program)}`]),
      ...(operator === undefined ? [] : [`by ${operator}`]),
      ...(conversation ? ['takes over'] : guard ? ['guard'] : []),
    ],
    from,
    to: spans.at(-1)?.to ?? from,
    spans,
    turns: turns.map(turn => (turn.data as { at: number }).at),
    tokens: 0,
    cost: 0,
  }
}

function nodePart(node: TraceNode, tags: string[]): Part {
  const { event, by, answers, tasks } = node
  const { type, target, source } = asCalled(event)
  const outcome = requestOutcome(node)
  const given = answers.map(answer => answer.event)
  const called = type === stepType ? stepName(event) : target
  const from = Date.parse(event.time)
  const common = { event: event.id, type, ...(by && { turn: by.turn }), from, turns: [], ...usageOf(given) }
  if (!outcome) {
    const { kind, name } = publisherOf(source)
    const isOutside = kind !== 'agent' && kind !== 'workflow' && delayText(event) === undefined
    return {
      ...common,
      label: type,
      ...(tasks.length === 0 && called !== undefined && { name: called }),
      note: delayText(event) ?? summarizeEvent(event),
      tags: isOutside ? [...tags, kind === 'operator' ? `by ${name}` : name] : tags,
      to: from,
      spans: [],
    }
  }
  const spans = spansOfCall(node)
  const answer = decisiveAnswer(answers)
  const end = endText(given)
  const retries = retriesText(given)
  const decisions = given.flatMap(answer => decisionText(answer) ?? [])
  const isSummary = type === 'model.invoke' && (event.data as { summary?: unknown } | null)?.summary === true
  return {
    ...common,
    ...(answer && { answer: answer.event.id }),
    label: type === 'timer.set' ? 'timer' : type.replace(/\.(invoke|requested)$/, ''),
    ...(called !== undefined && { name: called }),
    status: outcome.status,
    ...(outcome.problem !== undefined && { problem: outcome.problem }),
    note: [...decisions, type === 'timer.set' ? dueText(event) : noteOf(node, given)].filter(Boolean).join('  '),
    tags: [
      ...tags,
      ...(isTapped(event) ? [`tap ${publisherOf(event.source).name}`] : []),
      ...(retries === undefined ? [] : [retries]),
      ...(end === undefined ? [] : [end]),
      ...(isSummary ? ['summary'] : []),
    ],
    to: spans.at(-1)!.to,
    spans,
  }
}

/** What a model answered; what any other call asks for. */
function noteOf({ event }: TraceNode, answers: readonly CloudEvent[]): string {
  const answer = answers.find(({ type }) => type === 'model.result')
  return summarizeEvent(answer ?? event)
}

const dueText = ({ time, data }: CloudEvent) =>
  `for ${elapsed(Date.parse(String((data as { due?: unknown } | null)?.due)) - Date.parse(time))}`

function latePart({ event }: TraceNode, answer: CloudEvent): Part {
  const from = Date.parse(answer.time)
  return {
    event: answer.id,
    type: answer.type,
    label: answer.type,
    status: 'late',
    note: `the caller no longer waited for this answer, ${Math.round(between(event, answer))} ms after the request`,
    tags: [],
    from,
    to: from,
    spans: [],
    turns: [],
    tokens: 0,
    cost: 0,
  }
}
