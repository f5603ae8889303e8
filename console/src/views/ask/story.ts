import { isRuntimeType } from '../../../../src/bus/admit.ts'
import { parseId } from '../../../../src/bus/ids.ts'
import type { CloudEvent } from '../../../../src/event.ts'
import { approvalType, deniedType, grantedType } from '../../../../src/tasks/approval.ts'
import { CallText } from '../../../../src/tasks/call-text.ts'
import { callOutcome } from '../../../../src/tasks/outcome.ts'
import { isTextDelta, textDeltaType } from '../../../../src/tasks/text-delta.ts'
import { publisherOf } from '../../../../src/trace/publisher.ts'

/* What becomes of a question, from the events of its correlation: who does what, what they write, what a person is asked, and the answer. */

export type WorkState = 'running' | 'completed' | 'failed' | 'cancelled'
export type WorkKind = 'agent' | 'tool' | 'model' | 'step' | 'approval'

/** A call of an agent, tool, model, step or person. */
export interface Work {
  /** Id of the request. */
  readonly id: string
  readonly kind: WorkKind
  /** What is called. */
  readonly name: string
  /** Which one it is of those with this kind and name, from 1; undefined if it is the only one. */
  readonly number?: number
  /** Who calls it. */
  readonly by: string
  readonly input: unknown
  readonly began: number
  readonly state: WorkState
  readonly output?: unknown
  readonly error?: Problem
  readonly ended?: number
  /** What a model writes, or what a tool says about its progress. */
  readonly text?: string
  /** Why it waits. */
  readonly delay?: Problem
  readonly request: CloudEvent
  readonly parts: readonly Work[]
}

export interface Problem {
  readonly code: string
  readonly message: string
}

/** A task that an event started, or that was asked directly. */
export interface Root {
  readonly task: string
  readonly program: string
  /** Id of the event that started it. */
  readonly start: string
  readonly state: WorkState
  readonly output?: unknown
  readonly error?: Problem
}

export interface StorySnapshot {
  readonly question: CloudEvent | undefined
  readonly roots: readonly Root[]
  /** What the roots called, in the order of the log. */
  readonly work: readonly Work[]
  /** Events of the app, without the question. */
  readonly events: readonly CloudEvent[]
  /** What tools found, by its id: passages that texts refer to. */
  readonly found: ReadonlyMap<string, Found>
  /** Time of the newest event. */
  readonly at: number
}

/** Something with an id and a text that a tool returned. */
export interface Found {
  readonly id: string
  readonly text: string
  readonly about: Readonly<Record<string, unknown>>
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type OpenWork = Mutable<Omit<Work, 'parts' | 'number'>> & { number: number; parts: OpenWork[] }

const kinds: Readonly<Record<string, WorkKind>> = {
  'agent.invoke': 'agent',
  'tool.invoke': 'tool',
  'model.invoke': 'model',
  'step.invoke': 'step',
  [approvalType]: 'approval',
}

/** Add the events of a correlation in their order, and its signals as they come. */
export class Story {
  #question: CloudEvent | undefined
  readonly #work = new Map<string, OpenWork>()
  readonly #roots = new Map<string, Mutable<Root>>()
  /** The work that a task does, by the id of the task; null for roots. */
  readonly #workOf = new Map<string, OpenWork | null>()
  readonly #top: OpenWork[] = []
  readonly #counts = new Map<string, number>()
  readonly #events: CloudEvent[] = []
  readonly #found = new Map<string, Found>()
  /** What models are writing, by the call. */
  readonly #written = new Map<string, CallText>()
  #at = 0

  add(event: CloudEvent): void {
    const { type, call, time } = event
    this.#at = Math.max(this.#at, Date.parse(time))
    if (!this.#question) {
      this.#question = event
      return
    }
    this.#seeTask(event)
    const kind = kinds[type]
    if (kind) this.#begin(kind, event)
    else if (type.endsWith('.delayed')) this.#delay(event)
    else if (type.startsWith('agent.task.')) this.#endTask(event)
    else if (call !== undefined && isAnswer(type)) this.#end(this.#work.get(call), event)
    else if (!isRuntimeType(type)) this.#events.push(event)
  }

  /** A signal may overtake the request that it is about. */
  addSignal({ type, subject, data }: CloudEvent): void {
    const work = this.#work.get(subject ?? '')
    if (subject === undefined || (work && work.state !== 'running')) return
    if (type === 'tool.progress' && work) work.text = typeof data === 'string' ? data : JSON.stringify(data)
    if (type !== textDeltaType || !isTextDelta(data)) return
    const written = this.#written.get(subject) ?? new CallText()
    this.#written.set(subject, written)
    written.add(data)
    if (work) work.text = textOf(written)
  }

  /** A copy for rendering. */
  snapshot(): StorySnapshot {
    return {
      question: this.#question,
      roots: [...this.#roots.values()].map(root => ({ ...root })),
      work: this.#top.map(work => this.#copyOf(work)),
      events: [...this.#events],
      found: new Map(this.#found),
      at: this.#at,
    }
  }

  #copyOf({ parts, number, ...work }: OpenWork): Work {
    const isNumbered = this.#counts.get(`${work.kind} ${work.name}`)! > 1
    return { ...work, ...(isNumbered && { number }), parts: parts.map(part => this.#copyOf(part)) }
  }

  /** Ids of what a task emits begin with the id of the task, and the first of it was caused by what started the task. */
  #seeTask({ id, source, causationid = '' }: CloudEvent): void {
    const { task, suffix } = parseId(id) ?? {}
    const { kind, name: program } = publisherOf(source)
    if (task === undefined || suffix !== undefined || this.#workOf.has(task)) return
    if (kind !== 'agent' && kind !== 'workflow') return
    const work = this.#work.get(causationid) ?? null
    this.#workOf.set(task, work)
    if (!work) this.#roots.set(task, { task, program, start: causationid, state: 'running' })
  }

  #begin(kind: WorkKind, event: CloudEvent): void {
    const { id, target = '', source, time, data } = event
    const { input, step, what } = (data ?? {}) as Record<'input' | 'step' | 'what', unknown>
    const name = kind === 'step' ? String(step) : target
    const number = (this.#counts.get(`${kind} ${name}`) ?? 0) + 1
    this.#counts.set(`${kind} ${name}`, number)
    const work: OpenWork = {
      id,
      kind,
      name,
      number,
      by: publisherOf(source).name,
      input: kind === 'approval' ? what : input,
      began: Date.parse(time),
      state: 'running',
      request: event,
      parts: [],
    }
    this.#work.set(id, work)
    const written = this.#written.get(id)
    if (written) work.text = textOf(written)
    const parent = this.#workOf.get(parseId(id)?.task ?? '')
    if (parent) parent.parts.push(work)
    else this.#top.push(work)
  }

  #delay({ causationid = '', call, data }: CloudEvent): void {
    const work = this.#work.get(call ?? causationid)
    const { error } = (data ?? {}) as { error?: Problem }
    if (work?.state === 'running' && error) work.delay = error
  }

  #endTask(event: CloudEvent): void {
    const root = this.#roots.get(parseId(event.id)?.task ?? '')
    if (root) Object.assign(root, endOf(event))
    this.#end(this.#work.get(event.call ?? ''), event)
  }

  #end(work: OpenWork | undefined, event: CloudEvent): void {
    if (!work || work.state !== 'running') return
    Object.assign(work, endOf(event), { ended: Date.parse(event.time) })
    delete work.delay
    this.#written.delete(work.id)
    if (work.kind === 'tool') this.#find(work.output)
    if (work.kind === 'model') work.text = (work.output as { text?: string } | undefined)?.text ?? ''
    // What it asked for and did not wait for is of no interest any more.
    for (const part of work.parts) if (part.state === 'running') part.state = 'cancelled'
  }

  #find(output: unknown): void {
    for (const each of [output].flat()) {
      const { id, text, ...about } = (each ?? {}) as Record<string, unknown>
      if (typeof id === 'string' && typeof text === 'string') this.#found.set(id, { id, text, about })
    }
  }
}

const textOf = ({ parts }: CallText): string => parts.map(({ kind, text }) => (kind === 'text' ? text : '')).join('')

const isAnswer = (type: string) =>
  /^(tool|model|step)\.(result|failed)$/.test(type) || type === grantedType || type === deniedType

function endOf(event: CloudEvent): Pick<Work, 'state' | 'output' | 'error'> {
  const outcome = callOutcome(event)
  if (event.type === 'agent.task.cancelled') return { state: 'cancelled', ...outcome }
  return { state: 'error' in outcome ? 'failed' : 'completed', ...outcome }
}
