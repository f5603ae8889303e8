import type { JSONValue } from '@ai-sdk/provider'
import { isRecord, parseOrUndefined } from './results.ts'
import { squeeze } from './sentences.ts'

/** A statement with its citations, as in notes and drafts. */
export interface Unit {
  readonly text: string
  readonly citations: readonly string[]
}

/** The findings on one topic, or the line that admits that there are none. */
export interface Note {
  readonly topic: string
  readonly units: readonly Unit[]
  readonly admission: string | undefined
}

/** The content of a user message: plain text, Markdown with labels, or JSON. */
export interface Material {
  readonly question: string
  readonly notes: readonly Note[]
  readonly draft: string | undefined
}

export const notFound = 'The documents do not answer this.'
/** Warning in a report in which no sentence covers enough of the question. */
export const unsure = 'This may not answer the question: the documents do not say all of it in one passage.'
export const notSearched = 'The documents could not be searched: every tool call failed.'

/** Whether a line admits that nothing was found. */
export function admits(line: string): boolean {
  const sources =
    /\b(?:documents?|sources?|notes?|texts?|passages?|library) (?:do|does|did|could) not (?:answer|say|be)\b/i
  return sources.test(line)
}

interface Entry {
  readonly label: string
  readonly text: string
  /** The question of the object that contains the text. */
  readonly topic: string
}

const labels = 'question|topic|query|subject|part|notes?|findings?|answers?|draft|report|article|remarks?|feedback'
const labelLine = new RegExp(`^(?:#{1,6}\\s*|\\*\\*)?(${labels})(?:\\*\\*)?(?::(?:\\*\\*)?\\s*(.*)|\\s*)$`, 'i')
const asksLabel = /^(?:part|sub_?question|question|query|topic|task|subject|title|heading|prompt|ask)$/i
const draftLabel = /^(?:draft|report|article)$/i
const remarkLabel = /^(?:remarks?|feedback|review|comments?|issues?)$/i

/** @param prefer the key of the question, if there are several: the whole question, or a part of it */
export function material(text: string, prefer: 'whole' | 'part' = 'whole'): Material {
  const entries = entriesOf(text)
  const draft = entries.find(entry => draftLabel.test(entry.label))
  const rest = entries.filter(entry => entry !== draft && !remarkLabel.test(entry.label))
  const others = rest.filter(entry => !asksLabel.test(entry.label))
  const found = others.flatMap(entry => notesOf(entry.text, entry.topic))
  const notes = found.length > 0 || !draft ? found : notesOf(draft.text, '')
  const question = questionOf(rest, prefer) || found[0]?.topic || titleOf(draft?.text ?? '')
  return { question, notes, draft: draft?.text ?? (others.length === 1 ? others[0]?.text : undefined) }
}

function entriesOf(text: string): Entry[] {
  const value = parseOrUndefined(text)
  if (value !== undefined) return leaves(value, '', '')
  const sections: { label: string; lines: string[] }[] = [{ label: '', lines: [] }]
  for (const line of text.split('\n')) {
    const match = labelLine.exec(line)
    if (match) sections.push({ label: match[1]?.toLowerCase() ?? '', lines: [match[2] ?? ''] })
    else sections.at(-1)?.lines.push(line)
  }
  return sections
    .map(({ label, lines }) => ({ label, text: lines.join('\n').trim() }))
    .filter(section => section.text !== '')
    .flatMap(section => {
      const inner = parseOrUndefined(section.text)
      return inner === undefined ? [{ ...section, topic: '' }] : leaves(inner, section.label, '')
    })
}

/** The strings of a JSON value, each with its key and the question of its object. */
function leaves(value: JSONValue | undefined, label: string, topic: string): Entry[] {
  if (typeof value === 'string') return [{ label, text: value, topic }]
  if (Array.isArray(value)) return value.flatMap(item => leaves(item, label, topic))
  if (!isRecord(value)) return []
  const asked = Object.entries(value).find(([key, field]) => asksLabel.test(key) && typeof field === 'string')?.[1]
  return Object.entries(value).flatMap(([key, field]) => leaves(field, key, typeof asked === 'string' ? asked : topic))
}

function questionOf(entries: readonly Entry[], prefer: 'whole' | 'part'): string {
  const whole = ['question', 'topic', 'query', 'ask', 'prompt', 'task']
  const part = ['part', 'subquestion', 'sub_question']
  const order = prefer === 'whole' ? [...whole, ...part] : [...part, ...whole]
  const named = order.map(key => entries.find(entry => entry.label.toLowerCase() === key)).find(entry => entry)
  if (named) return squeeze(named.text)
  const free = entries.filter(entry => notesOf(entry.text, '').length === 0 && !admits(entry.text))
  const asking = free.map(({ text }) => questions(text)).find(list => list.length > 0)
  if (asking) return asking.join(' ')
  const first = free.find(entry => !/^(?:from|to|cc|date|id)$/i.test(entry.label))?.text ?? ''
  return titleOf(first) || squeeze(first.split(/\n\s*\n/).find(block => !greeting.test(block)) ?? '')
}

const greeting = /^\s*(?:hello|hi|hey|dear|good (?:morning|afternoon|evening))\b[^.?!]{0,40}[,!.]?\s*$/i

/** The sentences of a text that end in a question mark. */
export function questions(text: string): string[] {
  return (text.match(/[^.?!\n](?:[^?!\n.]|\.(?=\S)|\n(?!\s*\n))*\?/g) ?? [])
    .map(question => squeeze(question).replace(/^(?:#+|[-*>])\s+/, ''))
    .map(question => question.replace(/^(?:hello|hi|hey|dear)\b[^,]{0,30},\s*/i, ''))
}

function titleOf(text: string): string {
  return squeeze(/^#{1,6}\s+(.+)$/m.exec(text)?.[1] ?? '')
}

const ownHeading = /^(?:short answer|more from the documents|not found)$/i

/** The notes in a Markdown text: its headings are the topics, its cited lines the units. */
function notesOf(text: string, topic: string): Note[] {
  const notes: { topic: string; units: Unit[]; admission: string | undefined }[] = []
  const begin = (heading: string) => notes.push({ topic: heading, units: [], admission: undefined })
  begin(topic)
  for (const line of text.split('\n')) {
    const heading = /^#{1,6}\s+(.+)$/.exec(line)?.[1]
    const unit = heading === undefined ? unitOf(line) : undefined
    const note = notes.at(-1)
    if (heading !== undefined) begin(ownHeading.test(heading) ? topic : squeeze(heading))
    else if (unit) note?.units.push(unit)
    else if (note && admits(line)) note.admission ??= squeeze(line)
  }
  return notes.filter(note => note.units.length > 0 || (note.topic !== '' && note.admission !== undefined))
}

/** A line without the citations at its end. A line with a citation in the middle stays whole. */
export function unitOf(line: string): Unit | undefined {
  let text = squeeze(line).replace(/^(?:[-*+>]|\d+[.)])\s+/, '')
  const whole = text
  const citations: string[] = []
  for (let start = markerStart(text); start !== undefined; start = markerStart(text)) {
    citations.unshift(text.slice(start + 1, -1))
    text = text.slice(0, start).trimEnd()
  }
  if (text === '') return undefined
  if (citations.length > 0) return { text, citations }
  return /\[[^\]]*[#/][^\]]*\](?![([:])/.test(whole) ? { text: whole, citations } : undefined
}

/** Index of the bracketed marker at the end of a text. Identifiers may contain brackets. */
function markerStart(text: string): number | undefined {
  if (!text.endsWith(']')) return undefined
  let depth = 0
  for (let i = text.length - 1; i >= 0; i--) {
    if (text[i] === ']') depth++
    if (text[i] === '[' && --depth === 0) return /^\[(?:[ x]|\d+)\]$/.test(text.slice(i)) ? undefined : i
  }
  return undefined
}
