import { type Sentence, sentences, squeeze } from './sentences.ts'
import { type Concept, concepts, isBroad, occurrences, occurs, stems } from './words.ts'

/** A text that a tool returned, with its identifier. */
export interface Passage {
  readonly id: string
  readonly path: string
  readonly heading: string
  readonly text: string
}

/** A sentence to quote, with the identifier of its passage. */
export interface Quote {
  readonly text: string
  readonly citation: string
}

interface Candidate extends Quote {
  readonly score: number
}

/**
 * The sentences that answer the question best, verbatim; none if the passages are not about it. A sentence counts only if
 * its surroundings cover the question (see {@link covers}) and it contains one of the concepts itself.
 */
export function extract(question: string, passages: readonly Passage[], limit = 5): Quote[] {
  const paths = passages.map(({ path }) => path)
  const wanted = conceptsAmong(question, paths)
  const named = wanted.filter(concept => concept.named)
  const core = wanted.filter(concept => !concept.named)
  if (wanted.length === 0) return []

  const all = passages.map(passage => ({ passage, found: sentences(passage.text) }))
  const indexes = all.flatMap(({ found }) => found.map(({ text }) => stems(text)))
  const weigh = weights(wanted, indexes)
  const about = documents(passages)

  const candidates = all.flatMap(({ passage, found }) =>
    found.flatMap((sentence, i): Candidate[] => {
      const window = stems([passage.heading, ...found.slice(Math.max(0, i - 1), i + 2).map(s => s.text)].join(' '))
      if (!covers(wanted, window, about.get(passage.path) ?? '')) return []
      const own = stems(sentence.text)
      if (!(core.length > 0 ? core : named).some(concept => occurs(concept, own))) return []
      const score = scoreOf(sentence, own, passage, wanted, weigh)
      return [{ text: sentence.text, citation: passage.id, score }]
    }),
  )
  return best(candidates, limit)
}

/** The concepts of a question. A word that is also a folder name among the sources counts as a name. */
export function conceptsAmong(question: string, paths: readonly string[]): Concept[] {
  const segments = new Set(paths.flatMap(path => path.split('/').slice(0, -1).map(stems)))
  return concepts(question).map(concept => {
    const named = concept.named || (concept.forms.length === 1 && segments.has(concept.forms[0] ?? ''))
    return named ? { ...concept, named } : concept
  })
}

/**
 * Whether every named concept occurs here or in the document, and more than half of the others occur here. Half is enough if
 * a name identifies the document, unless only common words matched.
 */
export function covers(wanted: readonly Concept[], here: string, document: string): boolean {
  const named = wanted.filter(concept => concept.named)
  if (!named.every(concept => occurs(concept, here) || occurs(concept, document))) return false
  const core = wanted.filter(concept => !concept.named)
  const met = core.filter(concept => occurs(concept, here))
  if (met.length * 2 === core.length) return named.length > 0 && (core.length === 0 || !met.every(isBroad))
  return met.length * 2 > core.length
}

/** The path of each document and the passages of it that were returned. */
function documents(passages: readonly Passage[]): Map<string, string> {
  const known = new Map<string, string>()
  for (const { path, heading, text } of passages) {
    known.set(path, `${known.get(path) ?? stems(path)}${stems(heading)}${stems(text)}`)
  }
  return known
}

/** Weighs rare concepts more: inverse document frequency over the sentences, as in BM25. */
function weights(wanted: readonly Concept[], indexes: readonly string[]): Map<Concept, number> {
  return new Map(
    wanted.map(concept => {
      const hits = indexes.filter(index => occurs(concept, index)).length
      return [concept, Math.log(1 + (indexes.length - hits + 0.5) / (hits + 0.5))]
    }),
  )
}

function scoreOf(
  sentence: Sentence,
  own: string,
  { heading, path }: Passage,
  wanted: readonly Concept[],
  weigh: Map<Concept, number>,
): number {
  const title = stems(heading)
  const source = stems(path)
  const length = 0.75 + sentence.text.length / 800
  let score = sentence.position === 0 ? 0.1 : 0
  for (const concept of wanted) {
    const weight = weigh.get(concept) ?? 0
    const count = Math.min(occurrences(concept, own), concept.named ? 1 : 3)
    score += (weight * (count * 2.2)) / (count + 1.2 * length)
    if (occurs(concept, title)) score += weight * 0.3
    if (concept.named && occurs(concept, source)) score += weight + 1
  }
  return sentence.text.endsWith(':') ? score * 0.7 : score
}

/** The sentences with the highest scores, without repetitions and weak ones. Equal scores keep the order of the texts. */
function best(candidates: readonly Candidate[], limit: number): Quote[] {
  const ranked = candidates.toSorted((a, b) => b.score - a.score)
  const chosen: Candidate[] = []
  for (const candidate of ranked) {
    if (chosen.length === limit || candidate.score < (ranked[0]?.score ?? 0) * 0.4) break
    if (!chosen.some(other => sameSentence(other.text, candidate.text))) chosen.push(candidate)
  }
  return chosen.map(({ text, citation }) => ({ text, citation }))
}

export function sameSentence(a: string, b: string): boolean {
  return squeeze(a) === squeeze(b) || stems(a) === stems(b)
}
