import { type Material, notFound, type Note, type Unit, unsure } from './material.ts'
import { conceptsAmong, type Quote, sameSentence } from './rank.ts'
import { concepts, occurs, stems } from './words.ts'

/** The answer to one question: the quotes under it, each with its citation, or the admission that there are none. */
export function writeAnswer(question: string, quotes: readonly Quote[], admission = notFound): string {
  const body = quotes.length > 0 ? quotes.map(({ text, citation }) => `${text} [${citation}]`) : [admission]
  return [`## ${question}`, ...body].join('\n\n')
}

/** A report of what the notes hold, and nothing else; what they do not hold is said at the end. */
export function writeReport({ question, notes }: Material): string {
  const title = `# ${question || 'Report'}`
  const all = notes.flatMap(note => note.units)
  if (all.length === 0) {
    return [title, notes[0]?.admission ?? notFound, ...missing(question, notes)].join('\n\n')
  }

  const short = shortAnswer(question, all)
  const said = [...short]
  const sections = notes.flatMap(({ topic, units }) => {
    const fresh = units.filter(unit => {
      const known = said.some(other => sameSentence(other.text, unit.text))
      if (!known) said.push(unit)
      return !known
    })
    if (fresh.length === 0) return []
    return [`## ${topic && topic !== question ? topic : 'More from the documents'}`, ...fresh.map(render)]
  })
  const doubt = isAnswered(question, notes) ? [] : [unsure]
  return [title, ...doubt, '## Short answer', ...short.map(render), ...sections, ...missing(question, notes)].join(
    '\n\n',
  )
}

/** Whether one unit, with where it stands, holds all names of the question and three quarters of what it is about. */
function isAnswered(question: string, notes: readonly Note[]): boolean {
  const cited = notes.flatMap(({ units }) => units.flatMap(({ citations }) => citations))
  const wanted = conceptsAmong(question, cited)
  return notes.some(({ topic, units }) => {
    // What was looked up for one concept holds it, or stands next to it.
    const about = concepts(topic).filter(({ named }) => !named).length > 1 ? '' : topic
    return units.some(({ text, citations }) => {
      const here = stems([text, ...citations, about].join(' '))
      const unmet = wanted.filter(concept => !occurs(concept, here))
      return unmet.length * 4 <= wanted.length && !unmet.some(({ named }) => named)
    })
  })
}

/** The one or two units that cover the question best, what it names included. */
function shortAnswer(question: string, units: readonly Unit[]): Unit[] {
  const wanted = concepts(question)
  const coverage = ({ text }: Unit) => wanted.filter(concept => occurs(concept, stems(text))).length
  const [first, ...rest] = units.toSorted((a, b) => coverage(b) - coverage(a))
  const second = rest.find(unit => first && !sameSentence(unit.text, first.text))
  return [first, units.length > 3 ? second : undefined].filter(unit => unit !== undefined)
}

function missing(question: string, notes: readonly Note[]): string[] {
  const open = notes.filter(note => note.units.length === 0 && note.topic !== question)
  const lines = new Set(open.map(note => `- ${note.topic}: ${note.admission ?? notFound}`))
  return lines.size > 0 ? ['## Not found', [...lines].join('\n')] : []
}

function render({ text, citations }: Unit): string {
  return [text, ...citations.map(citation => `[${citation}]`)].join(' ')
}
