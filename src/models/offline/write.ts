import { type Material, notFound, type Note, type Unit, unsure } from './material.ts'
import { conceptsAmong, type Quote, sameSentence } from './rank.ts'
import { concepts, occurs, stems } from './words.ts'

/** The answer to one question: its quotes with their citations, or the admission that there are none. */
export function writeAnswer(question: string, quotes: readonly Quote[], admission = notFound): string {
  const body = quotes.length > 0 ? quotes.map(({ text, citation }) => `${text} [${citation}]`) : [admission]
  return [`## ${question}`, ...body].join('\n\n')
}

/** A report from the notes only. Ends with the questions that they do not answer. */
export function writeReport({ question, notes }: Material): string {
  const title = `# ${question || 'Report'}`
  const all = notes.flatMap(note => note.units)
  if (all.length === 0) {
    return [title, notes[0]?.admission ?? notFound, ...missing(question, notes)].join('\n\n')
  }

  const short = shortAnswer(question, all)
  const written = [...short]
  const sections = notes.flatMap(({ topic, units }) => {
    const fresh = units.filter(unit => {
      const known = written.some(other => sameSentence(other.text, unit.text))
      if (!known) written.push(unit)
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

/** Whether one unit with its citations contains all names and three quarters of the concepts of the question. */
function isAnswered(question: string, notes: readonly Note[]): boolean {
  const cited = notes.flatMap(({ units }) => units.flatMap(({ citations }) => citations))
  const wanted = conceptsAmong(question, cited)
  return notes.some(({ topic, units }) => {
    // A note on a single concept is about it, even if the text does not repeat it.
    const about = concepts(topic).filter(({ named }) => !named).length > 1 ? '' : topic
    return units.some(({ text, citations }) => {
      const here = stems([text, ...citations, about].join(' '))
      const unmet = wanted.filter(concept => !occurs(concept, here))
      return unmet.length * 4 <= wanted.length && !unmet.some(({ named }) => named)
    })
  })
}

/** The one or two units that cover most concepts of the question. */
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
