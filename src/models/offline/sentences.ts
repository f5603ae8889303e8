/** A sentence of prose that is verbatim in the text, except for white space. */
export interface Sentence {
  readonly text: string
  /** 0 for the first sentence of its block. */
  readonly position: number
}

/** The sentences of Markdown or plain text, without code, headings, badges and other noise. */
export function sentences(text: string): Sentence[] {
  return blocks(text).flatMap(block =>
    withAntecedents(splitSentences(block))
      .filter(isProse)
      .map((sentence, position) => ({ text: sentence, position })),
  )
}

/** Joins white space, which has no meaning in prose. */
export const squeeze = (text: string): string => text.replace(/\s+/g, ' ').trim()

const fence = /^\s*(?:```|~~~)/
const listItem = /^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ x]\]\s+)?/
const noise = /^\s*(?:#{1,6}\s|[-=*_]{3,}\s*$|<[^>]*>?\s*$|\[!\[|!\[|\[[^\]]+\]:\s)/

/** Paragraphs, list items and table cells; wrapped lines are joined. */
function blocks(text: string): string[] {
  const found: string[] = []
  let open: string[] = []
  let inFence = false
  let inList = false
  const close = () => {
    if (open.length > 0) found.push(squeeze(open.join(' ')))
    open = []
  }
  for (const raw of text.split('\n')) {
    const line = raw.replace(/^\s*(?:>\s?)+/, '')
    if (fence.test(line)) {
      inFence = !inFence
      close()
    } else if (inFence) continue
    else if (line.trim() === '' || noise.test(line)) {
      close()
      inList &&= line.trim() === ''
    } else if (line.trimStart().startsWith('|')) {
      close()
      found.push(...line.split(/(?<!\\)\|/).map(squeeze))
    } else if (listItem.test(line)) {
      close()
      inList = true
      open.push(line.replace(listItem, ''))
    } else if (open.length === 0 && !inList && /^(?: {4}|\t)/.test(line)) continue
    else open.push(line)
  }
  close()
  return found
}

const abbreviation = /(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|resp|no|fig)\.|\b\p{L}\.)$/iu

function splitSentences(block: string): string[] {
  const found: string[] = []
  let start = 0
  for (const end of block.matchAll(/[.!?]["')\]*_`]*(?=\s)/g)) {
    const stop = end.index + end[0].length
    const next = block.slice(stop).trimStart()[0] ?? ''
    if (abbreviation.test(block.slice(start, end.index + 1)) || /\p{Ll}/u.test(next)) continue
    found.push(block.slice(start, stop).trim())
    start = stop
  }
  return [...found, block.slice(start).trim()]
}

/** "This …" refers to the sentence before it, so the two stay together. */
function withAntecedents(list: readonly string[]): string[] {
  const found: string[] = []
  for (const sentence of list) {
    const before = found.at(-1)
    const joins = before !== undefined && /^(?:This|That|These|Those|It|They|If so|Otherwise)\b/.test(sentence)
    if (joins && before.length + sentence.length < 400) found[found.length - 1] = `${before} ${sentence}`
    else found.push(sentence)
  }
  return found
}

/** Enough words, not too many, and mostly letters. */
function isProse(text: string): boolean {
  const words = text.match(/\p{L}{2,}/gu) ?? []
  if (words.length < 5 || words.length > 70 || text.length > 600) return false
  if (/=>|;$|^\$ |^[[({<].*[\])}>]$|^(?:import|export|const|let|var|function|return)\b.*[({=]/.test(text)) return false
  const bare = text.replace(/\]\([^)]*\)|https?:\S+/g, ']')
  return (bare.match(/[\p{L}\s]/gu) ?? []).length >= bare.length * 0.7
}
