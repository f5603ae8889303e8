/** Part of a document, character for character. */
export interface Passage {
  readonly text: string
  /** The headings above it, outermost first. */
  readonly heading: string
  /** First and last line or page, counted from 1. */
  readonly place: string
}

interface Block {
  readonly start: number
  readonly end: number
  /** The level of a heading, else 0. */
  readonly level: number
  readonly words: number
}

const enough = 80
const most = 250

/**
 * Splits Markdown or plain text by headings and paragraphs into passages of about 80 to 250 words. Omits front matter
 * only.
 */
export function passagesOf(text: string, page?: number): Passage[] {
  const front = /^---\r?\n[^]*?\n---\r?\n/.exec(text)?.[0] ?? ''
  const headings = [/^title:\s*["']?(.*?)["']?\s*$/m.exec(front)?.[1] ?? '']
  const passages: Passage[] = []
  const lines = lineCounter(text)
  let open: { start: number; end: number; words: number; heading: string } | undefined

  const close = () => {
    if (!open) return
    const { start, end, heading } = open
    const slice = text.slice(start, end).trimEnd()
    const [first, last] = [lines(start), lines(start + slice.length)]
    const inText = first === last ? `line ${first}` : `lines ${first}–${last}`
    passages.push({ text: slice, heading, place: page === undefined ? inText : `page ${page}` })
    open = undefined
  }

  for (const block of blocksOf(text, front.length)) {
    if (block.level > 0) {
      if (block.level <= 2 || (open && open.words >= enough / 2)) close()
      headings.length = Math.min(headings.length, block.level - 1)
      headings[block.level - 1] = titleOf(text.slice(block.start, block.end))
    }
    if (open && open.words + block.words > most) close()
    open ??= { start: block.start, end: block.end, words: 0, heading: headings.filter(Boolean).join(' › ') }
    open.end = block.end
    open.words += block.words
    // A block that a colon announces belongs to the same passage.
    if (block.level === 0 && open.words >= enough && !text.slice(block.start, block.end).trimEnd().endsWith(':'))
      close()
  }
  close()
  return passages
}

/** Headings, paragraphs, and fenced code, each in pieces of at most {@link most} words. */
function* blocksOf(text: string, offset: number): Generator<Block> {
  let start = -1
  let fence: string | undefined
  for (const { from, to, line } of linesOf(text, offset)) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1]
    const heading = fence === undefined ? /^(#{1,6})\s+\S/.exec(line)?.[1] : undefined
    const ends = fence === undefined && (line.trim() === '' || heading !== undefined || mark !== undefined)
    if (ends && start >= 0) {
      yield* pieces(text, start, from)
      start = -1
    }
    if (heading) yield { start: from, end: to, level: heading.length, words: countWords(line) }
    else if (start < 0 && line.trim() !== '') start = from
    if (fence === undefined) fence = mark
    else if (mark?.startsWith(fence)) {
      fence = undefined
      yield* pieces(text, start, to)
      start = -1
    }
  }
  if (start >= 0) yield* pieces(text, start, text.length)
}

function* linesOf(text: string, offset: number): Generator<{ from: number; to: number; line: string }> {
  for (let from = offset; from < text.length; ) {
    const newline = text.indexOf('\n', from)
    const to = newline < 0 ? text.length : newline + 1
    yield { from, to, line: text.slice(from, to) }
    from = to
  }
}

/** Splits long text after a line, else after a sentence, else after a word. */
function* pieces(text: string, start: number, end: number): Generator<Block> {
  let from = start
  let words = 0
  let line = start
  let sentence = start
  for (const word of text.slice(start, end).matchAll(/\S+\s*/g)) {
    const at = start + word.index
    if (words === most) {
      const cut = line > from ? line : sentence > from ? sentence : at
      words = countWords(text.slice(cut, at))
      yield { start: from, end: cut, level: 0, words: most - words }
      from = cut
    }
    words++
    const next = at + word[0].length
    if (word[0].includes('\n')) line = next
    else if (/[.!?]["')\]*_`]*\s+$/.test(word[0]) && !/^(?:e\.g|i\.e|etc|vs)\./i.test(word[0])) sentence = next
  }
  yield { start: from, end, level: 0, words }
}

const countWords = (text: string) => text.match(/\S+/g)?.length ?? 0

/** The text of a heading, without markup, links and pictures. */
function titleOf(line: string): string {
  return line
    .replace(/^#+\s+|\s+#*\s*$/g, '')
    .replace(/!\[[^\]]*\]\([^)]*\)|<[^>]*>|[*`]/g, '')
    .replace(/\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?/g, '$1')
    .replace(/\s+/g, ' ')
    .trim()
}

/** Counts line numbers for ascending offsets. */
function lineCounter(text: string): (offset: number) => number {
  let counted = 0
  let line = 1
  return offset => {
    for (; counted < offset; counted++) if (text[counted] === '\n') line++
    return line
  }
}
