import { stripVTControlCharacters, styleText } from 'node:util'
import type { CloudEvent } from '../../src/index.ts'
import { approved, asked, concluded, decided, problem, published, returned, type Said, sender } from './wording.ts'

type Color = 'cyan' | 'yellow' | 'green' | 'magenta' | 'blue' | 'white' | 'red' | 'gray'

const colors: Record<string, Color> = {
  desk: 'white',
  editor: 'white',
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
  'model.delayed',
  'tool.delayed',
  'tool.invoke',
  'tool.result',
  'tool.failed',
  'agent.task.completed',
  'agent.task.failed',
  'agent.task.cancelled',
  'approval.requested',
  'approval.granted',
  'approval.denied',
  'approval.reminded',
  'report.accepted',
  'report.withheld',
  'report.completed',
]

/** One line. Subjects, questions and drafts are untrusted: they must not contain control characters. */
export const plain = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/\s+/g, ' ')
    .replace(/\p{Cc}/gu, '')
    .trim()

interface Line {
  readonly who: string
  readonly text: string
  readonly bad?: boolean
}

/** Turns events into lines. Remembers requests, so that an answer is shown with its question. */
export class Live {
  readonly #width: number
  readonly #since = new Map<string, number>()
  readonly #asked = new Map<string, CloudEvent>()
  /** Names of tasks, by the task's id and by the event that started it: the second researcher is `researcher 2`. */
  readonly #names = new Map<string, string>()
  readonly #counts = new Map<string, number>()

  constructor(width = process.stdout.columns || 160) {
    this.#width = width
  }

  /** The line for an event; none for a request, which is shown with its answer. */
  line(event: CloudEvent): string | undefined {
    const { correlationid, type } = event
    if (!this.#since.has(correlationid)) this.#since.set(correlationid, Date.parse(event.time))
    const line = this.#say(event)
    if (!line) return undefined
    const seconds = ((Date.parse(event.time) - this.#since.get(correlationid)!) / 1000).toFixed(2)
    const color = colors[line.who.split(' ')[0]!] ?? 'gray'
    const text = plain(line.text)
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
    const { type, id, call = '' } = event
    const data = (event.data ?? {}) as Said
    const request = this.#asked.get(call)
    this.#asked.delete(call)
    if (type.endsWith('.invoke')) this.#asked.set(id, event)
    switch (type) {
      case 'question.asked':
        return { who: 'you', text: `“${data.question}”` }
      case 'email.received':
        return { who: 'mail', text: `from ${sender(data)}: ${data.subject}` }
      case 'agent.invoke':
        return { who: this.#started(event), text: `asked by ${this.#whoEmitted(event)}: ${asked(data)}` }
      case 'model.invoke':
      case 'tool.invoke':
        this.#whoEmitted(event)
        return undefined
      case 'model.result':
        return { who: this.#whoAsked(event), text: decided(data) }
      case 'tool.result':
        return { who: this.#whoAsked(event), text: `${toolOf(event)}: ${returned(request?.data ?? {}, data)}` }
      case 'tool.failed':
      case 'model.failed':
        return { who: this.#whoAsked(event), text: `${toolOf(event)}: ${problem(data)}`, bad: true }
      case 'tool.delayed':
      case 'model.delayed':
        return { who: this.#whoAsked({ ...event, call: event.causationid ?? '' }), text: `waits: ${problem(data)}` }
      case 'agent.task.failed':
        return { who: this.#whoEmitted(event), text: problem(data), bad: true }
      case 'agent.task.completed':
        return { who: this.#whoEmitted(event), text: concluded(data) }
      case 'approval.requested':
        return { who: this.#whoEmitted(event), text: `asks the ${event.target} whether the draft may go out` }
      case 'approval.reminded':
        return { who: this.#whoEmitted(event), text: 'still waits for an answer' }
      case 'approval.granted':
        return { who: 'editor', text: approved('yes', data) }
      case 'approval.denied':
        return { who: 'editor', text: approved('no', data), bad: true }
      case 'report.accepted':
        return { who: this.#whoEmitted(event), text: 'hands the checked report to whoever publishes' }
      case 'report.withheld':
        return { who: this.#whoEmitted(event), text: `no report goes out: ${problem(data)}`, bad: true }
      case 'report.completed':
        return { who: this.#whoEmitted(event), text: published(data) }
      default:
        return { who: this.#whoEmitted(event), text: '' }
    }
  }

  /** The name of a task, with a number if several have the same name. */
  #started({ id, target = '', correlationid }: CloudEvent): string {
    const key = `${correlationid} ${target}`
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    const name = target === 'researcher' || target === 'section' || count > 1 ? `${target} ${count}` : target
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

/** The tool that gave an answer. */
const toolOf = ({ source }: CloudEvent) => source.replace('/tools/', '')
