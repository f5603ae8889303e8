import type { CloudEvent } from '../../../../src/event.ts'
import { matchesType } from '../../../../src/pattern.ts'
import type { Info } from '../../api/shapes.ts'
import type { Found, Problem, StorySnapshot, Work } from './story.ts'
import { oneLine } from './words.ts'

/** What a person gets: a text, a value, or why there is none. */
export type Answer =
  | { readonly kind: 'text'; readonly markdown: string; readonly sources: readonly Source[]; readonly isComplete: boolean }
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'problem'; readonly what: string; readonly problem: Problem } // biome-ignore format: one kind a line

/** What a text refers to. */
export interface Source {
  readonly key: string
  readonly number?: number
  readonly title: string
  readonly place?: string
  readonly text?: string
  readonly url?: string
  /** Sentences that the answer took from it. */
  readonly quotes: readonly string[]
}

const textFields = ['markdown', 'answer', 'report', 'text', 'message', 'summary', 'content']

/** What is known of the answer so far: the newest event with a text, else what the tasks put out, else what is being written. */
export function answerOf(story: StorySnapshot, isOver: boolean): Answer | undefined {
  const { events, roots } = story
  for (const { type, data } of events.toReversed()) {
    const text = textOf(data)
    if (text !== undefined) return textAnswer(story, text, data)
    const problem = problemIn(data)
    if (problem) return { kind: 'problem', what: type, problem }
  }
  const failed = roots.find(({ state }) => state === 'failed')
  if (failed?.error) return { kind: 'problem', what: failed.program, problem: failed.error }
  const [asked] = roots
  if (asked?.state === 'completed' && isDirect(story)) return answerFrom(story, asked.output)
  const written = isDirect(story) ? beingWritten(story.work) : ''
  if (written !== '') return { kind: 'text', markdown: written, sources: [], isComplete: false }
  const output = isOver ? roots.findLast(root => root.output !== undefined && root.output !== null)?.output : undefined
  return output === undefined ? undefined : answerFrom(story, output)
}

/** Whether the person asked an agent itself, whose text is the answer. */
const isDirect = ({ question }: StorySnapshot): boolean => question?.type === 'agent.invoke'

function answerFrom(story: StorySnapshot, output: unknown): Answer {
  const text = textOf(output)
  return text === undefined ? { kind: 'value', value: output } : textAnswer(story, text, output)
}

const textAnswer = (story: StorySnapshot, markdown: string, data: unknown): Answer => ({
  kind: 'text',
  markdown,
  sources: sourcesOf(story, markdown, data),
  isComplete: true,
})

function textOf(data: unknown): string | undefined {
  if (typeof data === 'string') return data
  const fields = (data ?? {}) as Record<string, unknown>
  const field = textFields.find(each => typeof fields[each] === 'string' && fields[each] !== '')
  return field === undefined ? undefined : (fields[field] as string)
}

function problemIn(data: unknown): Problem | undefined {
  const { error } = (data ?? {}) as { error?: Partial<Problem> }
  return typeof error?.message === 'string' ? { code: String(error.code), message: error.message } : undefined
}

/** The text that an agent wrote last, unless it is JSON for other agents. */
export const writtenBy = ({ kind, parts }: Work): string => (kind === 'agent' ? beingWritten(parts) : '')

function beingWritten(work: readonly Work[]): string {
  const text = work.findLast(({ kind, text }) => kind === 'model' && text)?.text ?? ''
  return /^\s*[[{]/.test(text) ? '' : text
}

/** Citations that the data of an answer lists, then the passages that its text names in brackets, then web pages that models used. */
function sourcesOf({ found, work }: StorySnapshot, markdown: string, data: unknown): Source[] {
  const { citations = [] } = (data ?? {}) as { citations?: unknown }
  const listed = Array.isArray(citations) ? citations.flatMap(each => citedIn(each, found)) : []
  if (listed.length > 0) return listed
  return [...passagesIn(markdown, found), ...pagesIn(work)]
}

function citedIn(value: unknown, found: ReadonlyMap<string, Found>): Source[] {
  const { id, number, quotes, ...about } = (value ?? {}) as Record<string, unknown>
  if (typeof id !== 'string') return []
  const passage = found.get(id)
  return [
    {
      ...sourceFrom({ id, text: passage?.text ?? '', about: { ...passage?.about, ...about } }),
      ...(typeof number === 'number' && { number }),
      quotes: Array.isArray(quotes) ? quotes.filter(each => typeof each === 'string') : [],
    },
  ]
}

/** `[ID]` in a text, for each id that a tool returned. */
export function passagesIn(markdown: string, found: ReadonlyMap<string, Found>): Source[] {
  const ids = [...markdown.matchAll(/\[([^[\]\n]+)\](?!\()/g)].map(([, id]) => id!)
  return [...new Set(ids)].flatMap(id => {
    const passage = found.get(id)
    return passage ? [sourceFrom(passage)] : []
  })
}

function sourceFrom({ id, text, about }: Found): Source {
  const { title, heading, path, url, place } = about
  const named = [title, heading, path].find(each => typeof each === 'string' && each !== '') as string | undefined
  const at = typeof place === 'string' && place !== '' ? [path, place].filter(Boolean).join(', ') : id
  const name = named ?? (text === '' ? id : oneLine(text, 80))
  return {
    key: id,
    title: name,
    ...(text !== '' && { text }),
    ...(at !== name && { place: at }),
    ...(typeof url === 'string' && { url }),
    quotes: [],
  }
}

function pagesIn(work: readonly Work[]): Source[] {
  return work.flatMap(({ kind, output, parts }) => {
    const answer = (kind === 'model' ? output : undefined) as
      | { content?: readonly Record<string, unknown>[] }
      | undefined
    const pages = (answer?.content ?? []).filter(({ type, url }) => type === 'source' && typeof url === 'string')
    return [
      ...pages.map(({ url, title }) => ({
        key: String(url),
        url: String(url),
        title: String(title ?? url),
        quotes: [],
      })),
      ...pagesIn(parts),
    ]
  })
}

/** Agents that an event of the story starts and that have not begun. */
export function awaitedIn({ question, events, roots }: StorySnapshot, info: Info | undefined): string[] {
  const started = new Set(roots.map(({ start, program }) => `${program} ${start}`))
  const triggers = [...(question && question.type !== 'agent.invoke' ? [question] : []), ...events]
  return (info?.agents ?? []).flatMap(({ name, on = [] }) => {
    const isAwaited = ({ id, type }: CloudEvent) => on.some(each => matchesType(each, type)) && !started.has(`${name} ${id}`)
    return triggers.some(isAwaited) ? [name] : []
  }) // biome-ignore format: two conditions
}
