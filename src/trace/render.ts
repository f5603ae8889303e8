import { styleText } from 'node:util'
import { asRequested } from '../tasks/effects.ts'
import { gist } from './gist.ts'
import {
  between,
  callOutcome,
  decisionText,
  delayText,
  endText,
  retriesText,
  spentBy,
  spentIn,
  stackIn,
  taskOutcome,
  type Outcome,
  type Status,
} from './outcome.ts'
import { shortId } from './short-id.ts'
import { count, dim, elapsed, fit, paint, preview, printable, shorten, spentText, widthOf } from './text.ts'
import { linkOf, type Answer, type Trace, type TraceNode, type TraceTask } from './tree.ts'
import { walk, type Step } from './walk.ts'

interface Line {
  readonly guides: string
  readonly label: string
  /** Colours the label by this type. */
  readonly type: string
  readonly status?: Status | 'late'
  readonly ms?: number
  /** Of the event or the task, as every verb takes it. */
  readonly id: string
  /** In which it was emitted: what a fork takes. */
  readonly turn?: number
  readonly note: string
  /** Lines below it. */
  readonly below?: readonly string[]
}

const marks = {
  waiting: ['yellow', '◌'], running: ['cyan', '▶'], answered: ['green', '✔'], completed: ['green', '✔'],
  continued: ['green', '↻'], failed: ['red', '✖'], expired: ['red', '⧗'], cancelled: ['yellow', '⊘'],
  withdrawn: ['yellow', '⊘'], late: ['yellow', '⧖'],
} as const // biome-ignore format: one table

const said = new Set<string>(['expired', 'cancelled', 'withdrawn', 'waiting', 'running', 'continued'])
const timeWidth = 9
const narrowest = 24
/** Longer ids push what follows them to the right, or are left out where there is no room. */
const idWidth = 10
/** From here on there is room for what the id says already. */
const wide = 100

/** A trace as lines for a terminal of this width. */
export function render(trace: Trace, width: number): string[] {
  const lines = [...walk(trace)].flatMap(step => marked(trace, step, linked(step, linesOf(step))))
  const widest = lines.reduce((most, { guides, label }) => Math.max(most, guides.length + widthOf(label)), narrowest)
  const labels = Math.min(widest, Math.max(narrowest, Math.floor(width * 0.55)))
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
  const shown = (width < wide && id.length > idWidth ? '' : id).padEnd(idWidth)
  const told = turn === undefined || width < wide ? note : `turn ${turn}  ${note}`
  const rest = shorten(told, width - labels - timeWidth - 6 - shown.length)
  const coloured = colour === 'red' ? styleText('red', rest) : dim(rest)
  return `${dim(guides)}${paint(type, fit(label, room))} ${styleText(colour, mark)} ${time}  ${dim(shown)} ${coloured}`.trimEnd()
}

function linesOf(step: Step): Line[] {
  const { item, called, guides, below } = step
  if (item.kind === 'task') {
    const ended = taskOutcome(item)
    return [{ ...taskLine(item, ended, guides), below: stackLines(ended, item, below) }]
  }
  const outcome = callOutcome(item)
  const told = called ? taskLine(called, outcome ?? taskOutcome(called), guides) : nodeLine(item, outcome, guides)
  const line = outcome ? { ...told, below: stackLines(outcome, called, below) } : told
  const late = item.answers.filter(answer => answer.verdict === 'late')
  return [line, ...late.map(answer => lateLine(item, answer, below))]
}

/** Where it failed; not of a task that failed because a call of it did, which says so itself. */
function stackLines({ stack }: Outcome, task: TraceTask | undefined, below: string): string[] {
  const isOfCall = task?.nodes.some(({ answers }) => answers.some(({ event }) => stackIn(event).stack === stack))
  if (stack === undefined || isOfCall) return []
  return stack.split('\n').map(line => `${below}     ${printable(line)}`)
}

/** An instance of a workflow with a key has a correlation of its own: the event that feeds it says which one links to which. */
function linked({ item, parent }: Step, lines: Line[]): Line[] {
  const link = item.kind === 'node' ? linkOf(item) : undefined
  if (!link) return lines
  const [first, ...more] = lines as [Line, ...Line[]]
  const text = parent ? `[correlation ${link.correlation}]` : `[from correlation ${link.from}]`
  return [{ ...first, note: `${text}  ${first.note}` }, ...more]
}

/** What descends from a redrive or a fork says so where that begins. */
function marked({ replays }: Trace, { item, parent }: Step, lines: Line[]): Line[] {
  const replay = replayOf(item)
  const [first, ...more] = lines as [Line, ...Line[]]
  if (replay === undefined || (parent && replayOf(parent) === replay)) return lines
  return [{ ...first, note: `[${printable(replays.get(replay) ?? replay)}]  ${first.note}` }, ...more]
}

const replayOf = (item: TraceNode | TraceTask) => (item.kind === 'task' ? item.turns[0] : item.event)?.replay

function taskLine(task: TraceTask, outcome: Outcome, guides: string): Line {
  const version = task.programVersion === undefined ? '' : ` v${task.programVersion}`
  const output = task.end === 'completed' && task.ending ? [gist(task.ending)] : []
  const retry = task.retryOf === undefined ? [] : [`[retry of ${shortId(task.retryOf)}]`]
  const told = [...retry, [count(task.turns.length, 'turn'), ...spentText(spentIn(task))].join(', '), ...output].join(
    '  ',
  )
  return {
    guides,
    label: `${task.station} ${printable(task.program ?? '?')}${version}`,
    type: 'agent.task',
    id: shortId(task.id),
    ...outcome,
    note: noteOf(outcome, told),
  }
}

function nodeLine({ event, by, answers, tasks }: TraceNode, outcome: Outcome | undefined, guides: string): Line {
  const { type, target, source, data } = asRequested(event)
  const common = { guides, type, id: shortId(event.id), ...(by && { turn: by.turn }), ...outcome }
  const name = target === undefined ? '' : ` ${printable(target)}`
  if (!outcome)
    return {
      ...common,
      label: `${type}${tasks.length > 0 || !target ? '' : ` →${name}`}`,
      // A failed attempt stands below its call, which says whose it is.
      note: delayText(event) === undefined ? `${printable(source)}  ${gist(event)}` : gist(event),
    }
  if (type === 'timer.set')
    return { ...common, label: 'timer', note: noteOf(outcome, preview((data as { due?: unknown } | null)?.due)) }
  const given = answers.map(answer => answer.event)
  const spent = spentText(spentBy(given))
  const end = endText(given)
  const retries = retriesText(given) ?? []
  const decided = answers.flatMap(answer => (outcome.problem === undefined ? (decisionText(answer.event) ?? []) : []))
  const told =
    type === 'model.invoke'
      ? [...spent, ...(end ? [printable(end)] : []), retries].flat().join(', ')
      : [...spent, retries, ...decided, gist(event)].flat().join('  ')
  return { ...common, label: `${type.replace(/\.(invoke|requested)$/, '')}${name}`, note: noteOf(outcome, told) }
}

function lateLine({ event }: TraceNode, answer: Answer, guides: string): Line {
  const { type } = answer.event
  return {
    guides: `${guides}  `,
    label: type,
    type,
    status: 'late',
    id: shortId(answer.event.id),
    ms: between(event, answer.event),
    note: 'late: nobody waited for it any more',
  }
}

function noteOf({ status, problem }: Outcome, told: string): string {
  return [said.has(status) ? status : '', problem === undefined ? '' : printable(problem), told]
    .filter(Boolean)
    .join('  ')
}

function summary(trace: Trace): string {
  const seen = { task: 0, call: 0 }
  let first = Infinity
  let last = -Infinity
  for (const { item, called } of walk(trace)) {
    if (item.kind === 'task' || called) seen.task++
    if (item.kind === 'task') continue
    if (callOutcome(item)) seen.call++
    for (const { time } of [item.event, ...item.answers.map(answer => answer.event)]) {
      first = Math.min(first, Date.parse(time))
      last = Math.max(last, Date.parse(time))
    }
  }
  const length = last >= first ? [elapsed(last - first)] : []
  return [
    ...length,
    count(trace.events, 'event'),
    count(seen.task, 'task'),
    count(seen.call, 'call'),
    ...spentText(trace.spent),
  ].join(' · ')
}
