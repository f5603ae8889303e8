/** A sentence, word for word from the passages that it cites. */
export interface Statement {
  readonly text: string
  readonly citations: readonly string[]
}

export interface Section {
  readonly heading: string
  readonly statements: readonly Statement[]
}

export interface Checked {
  readonly sections: readonly Section[]
  readonly dropped: readonly { readonly text: string; readonly reason: string }[]
  readonly unsure: boolean
}

/** The sentence by which a writer reports that nothing was found. It needs no citation. */
export const notFound = 'The documents do not answer this.'

/** The sentence by which a writer reports doubt. It becomes a mark of the draft. */
export const unsure = 'This may not answer the question: the documents do not say all of it in one passage.'

const marker = /\[([^[\]\n]+#\d+)\](?![([:])/g
const leastWords = 4

/**
 * Keeps the sentences of a draft that can be proved: those that occur word for word in a passage that they cite, except for white
 * space and Markdown emphasis. It drops all others, so that no model can invent a claim.
 */
export function checkCitations(draft: string, passage: (id: string) => string | undefined): Checked {
  const sections: { heading: string; statements: Statement[] }[] = [{ heading: '', statements: [] }]
  const dropped: { text: string; reason: string }[] = []
  const blocks = blocksOf(draft)
  for (const block of blocks) {
    if (block === unsure) continue
    const heading = /^(#{1,6})\s+(.*)$/.exec(block)
    if (heading) {
      sections.push({ heading: heading[1] === '#' ? '' : heading[2]!, statements: [] })
      continue
    }
    for (const claim of claimsOf(block)) {
      const proved = prove(claim, passage)
      if (proved.length > 0) sections.at(-1)!.statements.push(...proved)
      else dropped.push({ text: claim.text, reason: reasonFor(claim, passage) })
    }
  }
  return {
    sections: sections.filter(({ statements }) => statements.length > 0),
    dropped,
    unsure: blocks.includes(unsure),
  }
}

/** Checked sections as a draft again, with the citations between brackets. */
export function draftOf(sections: readonly Section[], isUnsure = false): string {
  const body = sections.flatMap(({ heading, statements }) => [
    ...(heading === '' ? [] : [`## ${heading}`]),
    ...statements.map(({ text, citations }) => [text, ...citations.map(id => `[${id}]`)].join(' ')),
  ])
  return [...(isUnsure && body.length > 0 ? [unsure] : []), ...body].join('\n\n')
}

/** Paragraphs, list items and headings, each on one line. */
function blocksOf(markdown: string): string[] {
  return markdown
    .replace(/\n(?=[ \t]*(?:#{1,6}\s|[-*+]\s|\d+[.)]\s))|(?<=\n[ \t]*#{1,6}\s[^\n]*)\n/g, '\n\n')
    .split(/\n\s*\n/)
    .map(block => squeeze(block.replace(/^[ \t]*(?:>[ \t]?)+/gm, '')))
    .filter(block => block !== '' && block !== notFound)
}

function claimsOf(block: string): Statement[] {
  const claims: { text: string; citations: string[] }[] = []
  let from = 0
  for (const found of block.matchAll(marker)) {
    const text = bare(block.slice(from, found.index))
    const last = claims.at(-1)
    if (text === '' && last) last.citations.push(found[1]!)
    else claims.push({ text, citations: [found[1]!] })
    from = found.index + found[0].length
  }
  const rest = bare(block.slice(from))
  return rest === '' ? claims : [...claims, { text: rest, citations: [] }]
}

/** A claim without its list marker, a leading full stop, and surrounding quotation marks. */
function bare(text: string): string {
  const trimmed = squeeze(text.replace(/^\s*(?:[-*+]|\d+[.)])\s+|^[\s.,;:]+/, ''))
  return /^["“](.*)["”]$/.exec(trimmed)?.[1] ?? trimmed
}

/** The whole claim if it is proved, else its sentences that are. */
function prove({ text, citations }: Statement, passage: (id: string) => string | undefined): Statement[] {
  const holding = (sentence: string) => citations.filter(id => stands(sentence, passage(id) ?? ''))
  const whole = holding(text)
  if (whole.length > 0) return [{ text, citations: whole }]
  return sentencesOf(text)
    .map(sentence => ({ text: sentence, citations: holding(sentence) }))
    .filter(statement => statement.citations.length > 0)
}

function reasonFor({ citations }: Statement, passage: (id: string) => string | undefined): string {
  if (citations.length === 0) return 'it cites nothing'
  const unknown = citations.filter(id => passage(id) === undefined)
  return unknown.length > 0
    ? `there is no passage ${unknown.join(', ')}`
    : `it does not stand in ${citations.join(', ')}`
}

/** Whether a passage contains a sentence word for word. Fewer than four words prove nothing. */
export function stands(sentence: string, passage: string): boolean {
  const wanted = plain(sentence).replace(/[.,;:]+$/, '')
  if (wanted.split(' ').length < leastWords) return false
  const text = ` ${plain(passage)} `
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    if (
      !/[\p{L}\p{N}]{2}/u.test(
        text.slice(at - 1, at + 1) + ' ' + text.slice(at + wanted.length - 1, at + wanted.length + 1),
      )
    )
      return true
  }
  return false
}

const sentencesOf = (text: string) =>
  Array.from(new Intl.Segmenter('en', { granularity: 'sentence' }).segment(text), ({ segment }) => segment.trim())

const squeeze = (text: string) => text.replace(/\s+/g, ' ').trim()

/** A text without emphasis, quote markers and typographic quotation marks. */
function plain(text: string): string {
  const bared = text
    .replace(/^[ \t]*(?:>[ \t]?)+/gm, '')
    .replace(/[*_`\\]/g, '')
    .replace(/[“”„]/g, '"')
    .replace(/[‘’]/g, "'")
  return squeeze(bared)
}
