import { stripVTControlCharacters, styleText } from 'node:util'
import type { CloudEvent } from '../../src/index.ts'

type Color = 'cyan' | 'yellow' | 'green' | 'magenta' | 'blue' | 'white' | 'red' | 'gray'

const colors: Record<string, Color> = {
  desk: 'white',
  planner: 'cyan',
  researcher: 'yellow',
  writer: 'magenta',
  reviewer: 'blue',
  publisher: 'green',
}

/** The events that the terminal shows. */
export const shown = [
  'question.asked',
  'email.received',
  'agent.invoke',
  'model.invoke',
  'model.result',
  'model.failed',
  'tool.invoke',
  'tool.result',
  'tool.failed',
  'agent.task.completed',
  'agent.task.failed',
  'agent.task.cancelled',
  'report.accepted',
  'report.completed',
]

interface Line {
  readonly who: string
  readonly text: string
  readonly bad?: boolean
}

/** Turns events into lines. Remembers what was asked, so that an answer can be shown with its question. */
export class Live {
  readonly #width: number
  readonly #since = new Map<string, number>()
  readonly #asked = new Map<string, CloudEvent>()
  /** Names of tasks, by the task's id and by the event that started it: the second researcher is `researcher 2`. */
  readonly #names = new Map<string, string>()
  readonly #counts = new Map<string, number>()

  constructor(width = process.stdout.columns ?? 160) {
    this.#width = width
  }

  /** The line for an event; none for requests, which are shown when they are answered. */
  line(event: CloudEvent): string | undefined {
    const { correlationid, type } = event
    if (!this.#since.has(correlationid)) this.#since.set(correlationid, Date.parse(event.time))
    const line = this.#say(event)
    if (!line) return undefined
    const seconds = ((Date.parse(event.time) - this.#since.get(correlationid)!) / 1000).toFixed(2)
    const color = colors[line.who.split(' ')[0]!] ?? 'gray'
    const text = line.text.replace(/\s+/g, ' ').trim()
    const start = [
      styleText('dim', `${correlationid.slice(-4)} ${seconds.padStart(7)}s`),
      styleText(color, line.who.padEnd(13)),
      ...(this.#width < 110 ? [] : [styleText('dim', type.padEnd(21))]),
    ].join('  ')
    const room = this.#width - stripVTControlCharacters(start).length - 2
    const clipped = text.length > room ? `${text.slice(0, Math.max(0, room - 1))}…` : text
    return `${start}  ${line.bad ? styleText('red', clipped) : clipped}`
  }

  #say(event: CloudEvent): Line | undefined {
    const { type, id } = event
    const data = (event.data ?? {}) as Record<string, unknown>
    const request = event.call === undefined ? undefined : this.#asked.get(event.call)
    this.#asked.delete(event.call ?? '')
    if (type.endsWith('.invoke')) this.#asked.set(id, event)
    switch (type) {
      case 'question.asked':
        return { who: 'you', text: `“${data.question}”` }
      case 'email.received':
        return { who: 'mail', text: `from ${addressOf(data.from)}: ${data.subject}` }
      case 'agent.invoke':
        return { who: this.#started(event), text: `asked by ${this.#whoEmitted(event)}: ${brief(data.input)}` }
      case 'model.invoke':
      case 'tool.invoke':
        this.#whoEmitted(event)
        return undefined
      case 'model.result':
        return { who: this.#whoAsked(event), text: decision(data) }
      case 'tool.result':
        return { who: this.#whoAsked(event), text: `${request?.target}: ${outcome(request, data.output)}` }
      case 'tool.failed':
      case 'model.failed':
        return { who: this.#whoAsked(event), text: `${request?.target}: ${problem(data)}`, bad: true }
      case 'agent.task.completed':
        return { who: this.#whoEmitted(event), text: result(data.output) }
      case 'agent.task.failed':
        return { who: this.#whoEmitted(event), text: problem(data), bad: true }
      case 'report.accepted':
        return { who: this.#whoEmitted(event), text: 'hands the checked report to whoever publishes' }
      case 'report.completed':
        return { who: this.#whoEmitted(event), text: completed(data) }
      default:
        return { who: this.#whoEmitted(event), text: '' }
    }
  }

  /** A task that was asked by name; of several with one name each gets a number. */
  #started({ id, target = '', correlationid }: CloudEvent): string {
    const key = `${correlationid} ${target}`
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    const name = target === 'researcher' || count > 1 ? `${target} ${count}` : target
    this.#names.set(id, name)
    return name
  }

  /** Ids of events that a task emits begin with the id of the task; the first one was caused by its start. */
  #whoEmitted({ id, source, causationid = '' }: CloudEvent): string {
    const task = id.split(':')[0]!
    const name = this.#names.get(task) ?? this.#names.get(causationid) ?? source.replace(/^\/\w+\//, '')
    this.#names.set(task, name)
    return name
  }

  #whoAsked({ call = '', target = '' }: CloudEvent): string {
    return this.#names.get(call.split(':')[0]!) ?? target
  }
}

function brief(input: unknown): string {
  if (typeof input === 'string') return input
  const { part, notes, draft, question } = input as Record<string, unknown>
  if (typeof part === 'string') return part
  if (Array.isArray(notes)) return `a report out of ${notes.length} notes${draft === undefined ? '' : ', again'}`
  return draft === undefined ? String(question) : 'a review of the draft'
}

function decision({ toolCalls, text, usage }: Record<string, unknown>): string {
  const calls = toolCalls as { toolName: string }[]
  const { input, output } = usage as { input: number; output: number }
  const said =
    calls.length > 0 ? `wants ${calls.map(call => call.toolName).join(', ')}` : `says ${String(text).length} characters`
  return `${said} (${input} → ${output} tokens)`
}

function outcome(request: CloudEvent | undefined, output: unknown): string {
  const input = (request?.data as { input?: Record<string, unknown> } | undefined)?.input ?? {}
  const answer = (output ?? {}) as Record<string, unknown>
  if (Array.isArray(answer.hits)) return `“${input.query}” → ${answer.hits.length} hits`
  if (Array.isArray(answer.sections)) {
    const kept = (answer.sections as { statements: unknown[] }[]).reduce(
      (sum, { statements }) => sum + statements.length,
      0,
    )
    return `${kept} statements stand in their passages, ${(answer.dropped as unknown[]).length} dropped`
  }
  if (typeof answer.files === 'object') return 'Markdown and HTML'
  return String(answer.id ?? '')
}

function result(output: unknown): string {
  if (typeof output === 'string') return `${output.match(/\[[^[\]]+#\d+\]/g)?.length || 'no'} quotations`
  const { parts, approved, remarks } = (output ?? {}) as Record<string, unknown>
  if (Array.isArray(parts)) return `plans: ${parts.join(' · ')}`
  if (typeof approved === 'boolean') return approved ? 'approves' : `sends it back: ${(remarks as string[]).join(' ')}`
  return 'done'
}

function completed({ citations, files }: Record<string, unknown>): string {
  const cited = (citations as unknown[]).length
  return `${cited > 0 ? `cites ${cited} passages` : 'says that the documents do not answer'}: ${(files as { markdown: string }).markdown}`
}

const problem = ({ error }: Record<string, unknown>) => {
  const { code, message } = (error ?? {}) as Record<string, unknown>
  return `${code}: ${message}`
}

const addressOf = (from: unknown) =>
  typeof from === 'string' ? from : String((from as { address?: string } | undefined)?.address ?? 'unknown')
