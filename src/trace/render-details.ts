import { styleText } from 'node:util'
import type { CloudEvent } from '../event.ts'
import { positionKey } from '../bus/cursor.ts'
import { parseId } from '../bus/ids.ts'
import { shortId, shortIdOf } from './short-id.ts'
import { dim, paint } from './paint.ts'
import { printable } from './text.ts'
import type { EventDetails, TaskDetails, TurnDetails } from './details.ts'

/* Details as lines for people. Nothing is truncated: lines may be longer than the terminal. */

const nameWidth = 12

export function renderEvent({ position, event }: EventDetails): string[] {
  const { id, type, data: _, dataref: __, specversion: ___, ...attributes } = event
  const by = parseId(id)
  return [
    `${styleText('bold', 'event')} ${paint(type)}`,
    ...fields({ id, position: positionKey(position), ...(by && { task: by.task, turn: by.version }), ...attributes }),
    ...section('data', dataOf(event)),
  ]
}

export function renderTask(whole: TaskDetails): string[] {
  const {
    task,
    correlation,
    tenant,
    replay,
    program,
    programVersion,
    programHash,
    state,
    waitsFor,
    awaits,
    more,
    turns,
  } = whole
  const [first, newest] = [turns[0]!, turns.at(-1)!]
  return [
    `${styleText('bold', 'task')} ${shortId(task, program)} ${styleText('magenta', printable(program))} v${programVersion} ${styleText(state === 'failed' ? 'red' : 'green', state)}`,
    ...fields({
      id: task,
      correlation,
      tenant,
      replay,
      code: programHash,
      [first.version === 1 ? 'started' : `turn ${first.version}`]: isoTime(first.at),
      [newest.end ? 'ended' : 'newest turn']: isoTime(newest.at),
      ...more,
    }),
    ...(awaits ? [field('waits for', awaits.join(', '))] : []),
    ...waitsFor.map(({ id, target, until }) =>
      field('waits for', `${target} ${shortId(id, program)}${until === null ? '' : ` until ${isoTime(until)}`}`),
    ),
    ...(first.version > 1 ? [dim(`  turns 1 to ${first.version - 1} are no longer on the log`)] : []),
    ...turns.flatMap(turn => ['', ...renderTurn(turn)]),
    ...(['output', 'error', 'reason'] as const).flatMap(name =>
      name in whole ? ['', ...section(name, linesOf(whole[name]))] : [],
    ),
  ]
}

export function renderTurn(turn: TurnDetails): string[] {
  const { id, position, version, at, program, inputs, emits, emitted, withdrawn = [], state, stateHash, end } = turn
  const byId = new Map(emitted.map(event => [event.id, event]))
  return [
    `${styleText('bold', `turn ${version}`)} ${dim(`${printable(program)}  ${isoTime(at)}  ${shortId(id, program)}  position ${positionKey(position)}`)}`,
    ...inputs.flatMap(event => eventLines('in ', event)),
    ...emits.flatMap(emit => {
      const event = byId.get(emit.id)
      if (!event) return [`  out ${paint(emit.type)} ${shortId(emit.id, program)} ${dim('no longer on the log')}`]
      // The outcome of the task is printed below the turns.
      const isEnd = end !== undefined && emit.type === `agent.task.${end}`
      return isEnd ? [eventLine('out', event)] : eventLines('out', event)
    }),
    ...withdrawn.map(call => `  cancels ${shortId(call, program)}`),
    ...(state === undefined ? [] : section('  state', linesOf(state))),
    ...(stateHash === undefined ? [] : [dim(`  state too large for the turn, which has its digest ${stateHash}`)]),
    ...(end === undefined ? [] : [`  ends ${end}`]),
  ]
}

const eventLines = (way: string, event: CloudEvent) => [eventLine(way, event), ...indented(dataOf(event), '      ')]

function eventLine(way: string, event: CloudEvent): string {
  const { type, source, target, subject } = event
  const to = target === undefined ? '' : ` → ${target}`
  const about = subject === undefined ? '' : `, subject ${subject}`
  return `  ${way} ${paint(type)} ${shortIdOf(event)} ${dim(printable(`${source}${to}${about}`))}`
}

const isoTime = (ms: number) => new Date(ms).toISOString()

function fields(values: Record<string, unknown>): string[] {
  const present = Object.entries(values).filter(([, value]) => value !== undefined)
  const width = Math.max(nameWidth, ...present.map(([name]) => printable(name).length))
  return present.map(([name, value]) => field(name, value, width))
}

const field = (name: string, value: unknown, width = nameWidth) =>
  `  ${dim(printable(name).padEnd(width))} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}`

const section = (name: string, lines: readonly string[]) => [
  dim(name),
  ...indented(lines, name.startsWith(' ') ? '      ' : '  '),
]

const indented = (lines: readonly string[], by: string) => lines.map(line => by + line)

function dataOf({ data, dataref }: CloudEvent): string[] {
  if (dataref !== undefined) return [dim(`its blob ${dataref} is no longer on the log`)]
  return data === null ? [dim('none')] : linesOf(data)
}

/** A JSON value as lines. Multi-line text is printed line by line. */
export function linesOf(value: unknown): string[] {
  if (typeof value === 'string' && value.includes('\n'))
    return ['|', ...value.split(/\r?\n/).map(line => `  ${printable(line)}`)]
  if (Array.isArray(value) && value.length > 0) return value.flatMap(item => entry('-', item))
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0)
    return Object.entries(value).flatMap(([key, item]) => entry(`${printable(key)}:`, item))
  return [printable(JSON.stringify(value) ?? 'null')]
}

/** Puts a scalar beside its name, and other values below it. */
function entry(name: string, value: unknown): string[] {
  const [first = '', ...more] = linesOf(value)
  const isSimple = typeof value !== 'object' || value === null || Object.keys(value).length === 0
  return isSimple ? [`${name} ${first}`, ...more] : [name, ...indented([first, ...more], '  ')]
}
