import { styleText } from 'node:util'
import type { EarlierConversation, ModelRequest } from '../tasks/conversation.ts'
import { isTapped } from '../bus/tapped.ts'
import type { CloudEvent } from '../event.ts'
import { asCalled } from '../tasks/effects.ts'
import { stepName, stepType } from '../tasks/step-request.ts'
import { publisherOf } from './publisher.ts'
import { summarizeEvent } from './summarize.ts'
import {
  between,
  requestOutcome,
  decisionText,
  delayText,
  endText,
  retriesText,
  usageOf,
  usageOfTask,
  stackIn,
  taskOutcome,
  type TraceOutcome,
  type OutcomeStatus,
} from './outcome.ts'
import { shortId, shortIdOf } from './short-id.ts'
import { callTimes } from './spans.ts'
import { dim, paint } from './paint.ts'
import { countText, elapsed, padOrShorten, preview, printable, shorten, usageText, displayWidth } from './text.ts'
import { linkOf, type TraceAnswer, type Trace, type TraceNode, type TraceTask } from './tree.ts'
import { walkTrace, type TraceStep } from './walk.ts'

interface Line {
  readonly guides: string
  readonly label: string
  /** Determines the colour of the label. */
  readonly type: string
  readonly status?: OutcomeStatus | 'late'
  readonly ms?: number
  /** Short id of the event or task. */
  readonly id: string
  /** The turn that emitted it. */
  readonly turn?: number
  readonly note: string
  /** Lines printed below this one. */
  readonly below?: readonly string[]
}

const marks = {
  waiting: ['yellow', '◌'], running: ['cyan', '▶'], answered: ['green', '✔'], completed: ['green', '✔'],
  continued: ['green', '↻'], failed: ['red', '✖'], expired: ['red', '⧗'], cancelled: ['yellow', '⊘'],
  abandoned: ['yellow', '⊘'], late: ['yellow', '⧖'],
} as const // biome-ignore format: one table

const shownStatuses = new Set<string>(['expired', 'cancelled', 'abandoned', 'waiting', 'running', 'continued'])
const timeWidth = 9
const minLabelWidth = 24
/** A shorter time in a queue is not printed. */
const minQueuedMs = 100
/** Longer ids shift the rest of the line, or are left out on a narrow terminal. */
const idWidth = 10
/** On wider terminals the turn is printed too. */
const minWideTerminal = 100

export function render(trace: Trace, width: number): string[] {
  const lines = [...walkTrace(trace)].flatMap(step => marked(trace, step, linked(step, linesOf(step))))
  const widest = lines.reduce(
    (most, { guides, label }) => Math.max(most, guides.length + displayWidth(label)),
    minLabelWidth,
  )
  const labels = Math.min(widest, Math.max(minLabelWidth, Math.floor(width * 0.55)))
  return [...lines.flatMap(line => drawn(line, labels, width)), '', summary(trace)]
}

const drawn = (line: Line, labels: number, width: number): string[] => [
  draw(line, labels, width),
  ...(line.below ?? []).map(text => dim(shorten(text, width))),
]

function draw({ guides, label, type, status, ms, id, turn, note }: Line, labels: number, width: number): string {
  const [colour, mark] = status ? marks[status] : (['gray', ' '] as const)
  const room = labels - guides.length
  const time = (ms === undefined ? '' : elapsed(ms)).padStart(timeWidth)
  const shown = (width < minWideTerminal && id.length > idWidth ? '' : id).padEnd(idWidth)
  const text = turn === undefined || width < minWideTerminal ? note : `turn ${turn}  ${note}`
  const rest = shorten(text, width - labels - timeWidth - 6 - shown.length)
  const coloured = colour === 'red' ? styleText('red', rest) : dim(rest)
  return `${dim(guides)}${paint(type, padOrShorten(label, room))} ${styleText(colour, mark)} ${time}  ${dim(shown)} ${coloured}`.trimEnd()
}

function linesOf(step: TraceStep): Line[] {
  const { item, called, guides, below } = step
  if (item.kind === 'task') {
    const ended = taskOutcome(item)
    return [{ ...taskLine(item, ended, guides), below: stackLines(ended, item, below) }]
  }
  const outcome = requestOutcome(item)
  const ofTask = called && taskLine(called, outcome ?? taskOutcome(called), guides)
  const requestLine = withMark(item, ofTask ?? nodeLine(item, outcome, guides))
  const line = outcome ? { ...requestLine, below: stackLines(outcome, called, below) } : requestLine
  const late = item.answers.filter(answer => answer.verdict === 'late')
  return [line, ...late.map(answer => lateLine(item, answer, below))]
}

/** The stack of a failure. A task that failed because of a call omits it, because the call shows it. */
function stackLines({ stack }: TraceOutcome, task: TraceTask | undefined, below: string): string[] {
  const isOfCall = task?.nodes.some(({ answers }) => answers.some(({ event }) => stackIn(event).stack === stack))
  if (stack === undefined || isOfCall) return []
  return stack.split('\n').map(line => `${below}     ${printable(line)}`)
}

/** Marks a call that is not what the model asked for: the hand-over of a conversation, and a guard. */
function withMark({ event }: TraceNode, line: Line): Line {
  const { conversation, guard } = (event.data ?? {}) as {
    conversation?: Partial<EarlierConversation> | null
    guard?: unknown
  }
  const mark = conversation?.handover ? '[takes over]' : guard ? '[guard]' : undefined
  return mark === undefined ? line : { ...line, note: `${mark}  ${line.note}` }
}

/** A workflow instance with a key has its own correlation. The event routed to it names the other correlation. */
function linked({ item, parent }: TraceStep, lines: Line[]): Line[] {
  const link = item.kind === 'node' ? linkOf(item) : undefined
  if (!link) return lines
  const [first, ...more] = lines as [Line, ...Line[]]
  const text = parent ? `[correlation ${link.correlation}]` : `[from correlation ${link.from}]`
  return [{ ...first, note: `${text}  ${first.note}` }, ...more]
}

/** Marks the first event of a redrive or a fork. */
function marked({ replays }: Trace, { item, parent }: TraceStep, lines: Line[]): Line[] {
  const replay = replayOf(item)
  const [first, ...more] = lines as [Line, ...Line[]]
  if (replay === undefined || (parent && replayOf(parent) === replay)) return lines
  return [{ ...first, note: `[${printable(replays.get(replay) ?? replay)}]  ${first.note}` }, ...more]
}

const replayOf = (item: TraceNode | TraceTask) => (item.kind === 'task' ? item.turns[0] : item.event)?.replay

function taskLine(task: TraceTask, outcome: TraceOutcome, guides: string): Line {
  const version = task.programVersion === undefined ? '' : ` v${task.programVersion}`
  const output = task.end === 'completed' && task.ending ? [summarizeEvent(task.ending)] : []
  const origin = [
    ...(task.retryOf === undefined ? [] : [`retry of ${shortId(task.retryOf, task.program)}`]),
    ...(task.operator === undefined ? [] : [`by ${printable(task.operator)}`]),
  ].join(' ')
  const text = [
    ...(origin === '' ? [] : [`[${origin}]`]),
    [countText(task.turns.length, 'turn'), ...usageText(usageOfTask(task))].join(', '),
    ...output,
  ].join('  ')
  return {
    guides,
    label: `${task.station} ${printable(task.program ?? '?')}${version}`,
    type: 'agent.task',
    id: shortId(task.id, task.program),
    ...outcome,
    note: noteOf(outcome, text),
  }
}

function nodeLine(node: TraceNode, outcome: TraceOutcome | undefined, guides: string): Line {
  const { event, by, answers, tasks } = node
  const { type, target, source, data } = asCalled(event)
  const common = { guides, type, id: shortIdOf(event), ...(by && { turn: by.turn }), ...outcome }
  const called = type === stepType ? stepName(event) : target
  const name = called === undefined ? '' : ` ${printable(called)}`
  if (!outcome)
    return {
      ...common,
      label: `${type}${tasks.length > 0 || !target ? '' : ` →${name}`}`,
      // A failed attempt is printed below its call, so its source is omitted.
      note: delayText(event) === undefined ? `${sourceText(source)}  ${summarizeEvent(event)}` : summarizeEvent(event),
    }
  if (type === 'timer.set')
    return { ...common, label: 'timer', note: noteOf(outcome, preview((data as { due?: unknown } | null)?.due)) }
  const given = answers.map(answer => answer.event)
  const spent = usageText(usageOf(given))
  const end = endText(given)
  const delays = [queueText(node) ?? [], retriesText(given) ?? []].flat()
  const decided = answers.flatMap(answer => (outcome.problem === undefined ? (decisionText(answer.event) ?? []) : []))
  const text =
    type === 'model.invoke'
      ? [
          ...((data as Partial<ModelRequest> | null)?.summary ? ['summary'] : []),
          ...spent,
          ...(end ? [printable(end)] : []),
          delays,
        ]
          .flat()
          .join(', ')
      : [...spent, delays, ...decided, summarizeEvent(event)].flat().join('  ')
  const note = noteOf(outcome, isTapped(event) ? tappedText(event, given, text) : text)
  return { ...common, label: `${type.replace(/\.(invoke|requested)$/, '')}${name}`, note }
}

/** Of a call that passed a tap there is no task that shows what a model answered. */
function tappedText({ source }: CloudEvent, answers: readonly CloudEvent[], text: string): string {
  const answer = answers.find(({ type }) => type === 'model.result')
  const said = answer ? [summarizeEvent(answer)] : []
  return [`[tap ${printable(publisherOf(source).name)}]`, text, ...said].filter(Boolean).join('  ')
}

/** `queued 1.2 s, ran 80 ms`, where the queue took long enough for a person to notice. */
function queueText(node: TraceNode): string | undefined {
  const times = callTimes(node)
  return times && times.queuedMs >= minQueuedMs
    ? `queued ${elapsed(times.queuedMs)}, ran ${elapsed(times.ranMs)}`
    : undefined
}

function sourceText(source: string): string {
  const { kind, name } = publisherOf(source)
  return printable(kind === 'operator' ? `by ${name}` : source)
}

function lateLine({ event }: TraceNode, answer: TraceAnswer, guides: string): Line {
  const { type } = answer.event
  return {
    guides: `${guides}  `,
    label: type,
    type,
    status: 'late',
    id: shortIdOf(answer.event),
    ms: between(event, answer.event),
    note: 'late: the caller no longer waited for it',
  }
}

function noteOf({ status, problem }: TraceOutcome, text: string): string {
  return [shownStatuses.has(status) ? status : '', problem === undefined ? '' : printable(problem), text]
    .filter(Boolean)
    .join('  ')
}

function summary(trace: Trace): string {
  const seen = { task: 0, call: 0 }
  let first = Infinity
  let last = -Infinity
  for (const { item, called } of walkTrace(trace)) {
    if (item.kind === 'task' || called) seen.task++
    if (item.kind === 'task') continue
    if (requestOutcome(item)) seen.call++
    for (const { time } of [item.event, ...item.answers.map(answer => answer.event)]) {
      first = Math.min(first, Date.parse(time))
      last = Math.max(last, Date.parse(time))
    }
  }
  const length = last >= first ? [elapsed(last - first)] : []
  return [
    ...length,
    countText(trace.events, 'event'),
    countText(seen.task, 'task'),
    countText(seen.call, 'call'),
    ...usageText(trace.spent),
  ].join(' · ')
}
