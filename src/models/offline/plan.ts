import { questions } from './material.ts'
import { squeeze } from './sentences.ts'
import { type Concept, concepts, isBroad, stems } from './words.ts'

const asks = '(?:how|what|which|when|where|why|who|whether|does|do|can|is|are|should)'
const clause = new RegExp(`\\s*[;,]?\\s+(?:and|or|but|also|then)\\s+(?=${asks}\\b)|;\\s+`, 'i')

/** Splits a question into parts to search separately: two to four, up to six for a question with more parts. */
export function facets(question: string): string[] {
  const asked = questions(question)
  const clauses = (asked.length > 0 ? asked : [question])
    .flatMap(sentence => sentence.split(clause))
    .map(part => squeeze(part).replace(/[,;.]+$/, ''))
    .filter(part => concepts(part).length > 0)
  const all = concepts(question)
  const named = all.filter(concept => concept.named && !/^[\d.]+$/.test(concept.label))
  const core = all.filter(concept => !concept.named)
  if (clauses.length > 1) return unique(clauses.map(part => withSubject(part, named))).slice(0, 6)

  const whole = squeeze(question) || 'What is this about?'
  const subject = named.map(concept => concept.label).join(', ')
  const about = (topics: readonly string[]) => [subject, topics.join(', ')].filter(part => part !== '').join(': ')
  const labels = core.map(concept => concept.label)
  const parts = [
    whole,
    ...(named.length > 1 ? named.map(({ label }) => `${label}: ${labels.join(', ')}`) : []),
    ...(subject === '' ? [] : core.flatMap(({ synonyms, near }) => [...synonyms.slice(0, 1), ...near.slice(0, 1)])).map(
      topic => about([topic]),
    ),
    ...(subject === '' || core.length < 2 ? [] : core.filter(concept => !isBroad(concept))).map(concept =>
      about([concept.label]),
    ),
    about(core.length > 0 ? labels : ['usage']),
    about([...labels, 'usage']),
  ]
  const distinct = unique(parts.map(part => part.replace(/:\s*$/, ''))).filter(part => part !== '')
  return distinct.slice(0, Math.min(4, Math.max(2, distinct.length - 1)))
}

/** Restores the subject of a clause that lost it by the split. */
function withSubject(part: string, named: readonly Concept[]): string {
  const own = stems(part)
  const lost = named.filter(concept => !concept.forms.some(form => own.includes(form)))
  const keeps = lost.length < named.length || named.length === 0
  return keeps ? part : `${named.map(concept => concept.label).join(', ')}: ${part}`
}

function unique(parts: readonly string[]): string[] {
  return parts.filter((part, i) => parts.findIndex(other => stems(other) === stems(part)) === i)
}

/** A search query: the key terms with their other spellings, fewer at the second attempt. */
export function searchTerms(question: string, attempt: number): string {
  const wanted = concepts(question)
  const named = wanted.filter(concept => concept.named).map(concept => concept.label)
  const core = wanted.filter(concept => !concept.named)
  const spellings = core.flatMap(concept => [...concept.synonyms, ...(attempt > 0 ? concept.near : [])])
  const terms =
    attempt === 0
      ? [...wanted.map(concept => concept.label), ...spellings.slice(0, 2)]
      : spellings.length > 0
        ? [...named, ...spellings]
        : [...named, ...core.slice(0, 1).map(concept => concept.label)]
  return terms.join(' ') || squeeze(question)
}
