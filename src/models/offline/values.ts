import { admits, unitOf, type Material, type Unit } from './material.ts'
import { facets, searchTerms } from './plan.ts'
import { covers, sameSentence } from './rank.ts'
import type { Values } from './schema.ts'
import { concepts, occurs, stems } from './words.ts'

const names = {
  remarks: /remark|comment|issue|problem|feedback|reason|critique|change|suggestion|error|concern|objection/i,
  citations: /citation|source|reference|passage|evidence|^(?:ids?|paths?|urls?|files?)$/i,
  terms: /keyword|tag|term|entit|^(?:q|query|queries|search)$/i,
  prose: /answer|text|draft|article|report|content|body|summary|note|result|output|markdown|message|finding/i,
  title: /title|headline|subject/i,
  negative: /reject|revis|fail|invalid|needs|wrong|bad|redo|retry|missing|incomplete/i,
  positive: /approv|accept|pass|valid|ok$|good|ready|complete|correct|success|done|found|answered/i,
  score: /score|confidence|rating|quality|grade/i,
}

/** The content of the material, under common property names. */
export function valuesOf(held: Material, prose: string, citations: readonly string[]): Values {
  const { question } = held
  const verdict = () => (held.draft === undefined ? { approved: citations.length > 0, remarks: [] } : review(held))

  return {
    text(name) {
      if (names.remarks.test(name)) return verdict().remarks.join('\n') || 'Nothing to remark.'
      if (names.citations.test(name)) return citations[0] ?? ''
      if (names.terms.test(name)) return searchTerms(question, 0)
      if (names.title.test(name)) return question.replace(/[?.!]+$/, '')
      return names.prose.test(name) ? prose : question
    },
    list(name) {
      if (names.remarks.test(name)) return verdict().remarks
      if (names.citations.test(name)) return citations
      if (names.terms.test(name)) return concepts(question).map(concept => concept.label)
      return facets(question)
    },
    flag(name) {
      if (names.negative.test(name)) return !verdict().approved
      return names.positive.test(name) && verdict().approved
    },
    number(name) {
      if (names.score.test(name)) return verdict().approved ? 1 : 0
      return citations.length
    },
    choose(_, options) {
      const wanted = verdict().approved ? names.positive : names.negative
      const found = options.find(option => typeof option === 'string' && wanted.test(option))
      return found ?? options[0]
    },
    about: topic => valuesOf({ ...held, question: topic }, prose, citations),
  }
}

/** Checks a draft by rules: it has statements with citations, without repetitions, about the question. */
function review({ question, draft = '' }: Material) {
  const lines = draft.split('\n').filter(line => line.trim() !== '' && !/^\s*(?:#{1,6}\s|[-=*_]{3,}\s*$)/.test(line))
  const admitted = lines.filter(admits)
  const claims = lines.filter(line => !admits(line) || unitOf(line))
  const remarks = [
    ...(lines.length === 0 ? ['The draft is empty.'] : []),
    ...claims.filter(line => !unitOf(line)).map(line => `A statement has no citation: ${excerpt(line)}`),
    ...repeated(claims).map(unit => `A sentence is repeated: ${excerpt(unit.text)}`),
  ]
  const wanted = concepts(question)
  const drafted = stems(claims.join('\n'))
  if (claims.length > 0 && admitted.length === 0 && !covers(wanted, drafted, '')) {
    const missing = wanted.filter(concept => !occurs(concept, drafted)).map(concept => concept.label)
    remarks.push(`The draft does not mention: ${missing.join(', ')}`)
  }
  return { approved: remarks.length === 0, remarks }
}

function repeated(lines: readonly string[]): Unit[] {
  const units = lines.map(unitOf).filter(unit => unit !== undefined)
  return units.filter((unit, i) => units.slice(0, i).some(other => sameSentence(other.text, unit.text)))
}

function excerpt(text: string): string {
  const words = text.trim().split(/\s+/)
  return words.length > 12 ? `"${words.slice(0, 12).join(' ')} …"` : `"${words.join(' ')}"`
}
