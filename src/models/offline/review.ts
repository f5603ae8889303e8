import { admits, type Material, type Unit, unitOf } from './material.ts'
import { covers, sameSentence } from './rank.ts'
import { concepts, occurs, stems } from './words.ts'

interface Review {
  readonly approved: boolean
  readonly remarks: readonly string[]
}

/** Checks a draft by rules: it has statements with citations, without repetitions, about the question. */
export function review({ question, draft = '' }: Material): Review {
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
