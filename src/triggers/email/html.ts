import { compile, type DomNode, type FormatCallback, type HtmlToTextOptions } from 'html-to-text'

/*
 * The text that a reader of the HTML sees, for mails that bring no text of their own. html-to-text reads the HTML; the
 * bounds are here. Parsing takes time by the square of the tags that are open at once, so what is read has a limit in
 * tags. The layout is ours where the library's grows with depth (lists, quotes) or with column widths (tables).
 */

const maxTags = 20_000
const maxChars = 4 * 1024 * 1024
const maxDepth = 200
// A mark on each line of quotes within quotes could make the text many times as large as the HTML.
const maxMarked = 64 * 1024

/** Reads the HTML parts of one mail; the limits are for all of them together. */
export function htmlReader(): (html: string) => string {
  let [tags, chars] = [maxTags, maxChars]
  return html => {
    const read = beginning(html, tags, chars)
    tags -= read.tags
    chars -= read.html.length
    const text = tidy(convert(read.html))
    return read.html === html ? text : `${text}\n\n[cut: the rest is only in the HTML]`.trimStart()
  }
}

/** Up to the tag, or the character, that is one too many. */
function beginning(html: string, mostTags: number, mostChars: number): { html: string; tags: number } {
  let tags = 0
  let end = Math.min(html.length, mostChars)
  for (let at = html.indexOf('<'); at >= 0 && at < end; at = html.indexOf('<', at + 1))
    if (tags === mostTags) end = at
    else tags++
  return { html: html.slice(0, end), tags }
}

/** No blanks at the ends of lines, at most one empty line in a row, none around the text. */
function tidy(text: string): string {
  const lines: string[] = []
  for (const line of text.toWellFormed().split('\n')) {
    const trimmed = line.trimEnd()
    if (trimmed || lines.at(-1)) lines.push(trimmed)
  }
  return lines.join('\n').trim()
}

/** Cells are separated by a tab; where one of them has several lines, it is layout, and each cell starts a line. */
const row: FormatCallback = (element, walk, builder) => {
  const cells: string[] = []
  builder.openBlock()
  for (const child of element.children.filter(isContent)) {
    builder.openBlock()
    walk([child], builder)
    builder.closeBlock({ blockTransform: text => (cells.push(text.trim()), '') })
  }
  const isLayout = cells.some(cell => cell.includes('\n'))
  const text = isLayout ? cells.filter(Boolean).join('\n') : cells.join('\t')
  builder.closeBlock({ blockTransform: () => text })
}

const list: FormatCallback = (element, walk, builder) => {
  let number = numberIn(element, 'start') ?? 1
  builder.openBlock()
  for (const child of element.children.filter(isContent)) {
    number = numberIn(child, 'value') ?? number
    const mark = child.name !== 'li' ? '' : element.name === 'ol' ? `${number++}. ` : '- '
    builder.openBlock()
    walk([child], builder)
    builder.closeBlock({ blockTransform: text => mark + text.trim() })
  }
  builder.closeBlock()
}

function numberIn({ attribs }: DomNode, name: string): number | undefined {
  const number = Number.parseInt((attribs as Record<string, string | undefined> | undefined)?.[name] ?? '', 10)
  return Number.isNaN(number) ? undefined : number
}

const quote: FormatCallback = (element, walk, builder) => {
  builder.openBlock({ leadingLineBreaks: 2 })
  walk(element.children, builder)
  const marked = (text: string) => text.trim().replace(/^/gm, '> ')
  builder.closeBlock({
    trailingLineBreaks: 2,
    blockTransform: text => (text.length > maxMarked ? text : marked(text)),
  })
}

/** The text, and where it leads. The library's keeps the text of each link that is open, and links within links cost by the square. */
const link: FormatCallback = (element, walk, builder) => {
  const { href = '' } = element.attribs as Record<string, string | undefined>
  walk(element.children, builder)
  const [only, ...others] = element.children
  const text = others.length === 0 ? only?.data?.trim() : undefined
  if (href !== '' && href[0] !== '#' && href !== text && href !== `mailto:${text}`) builder.addInline(` [${href}]`)
}

/** What stands in place of an image; where it comes from is in the HTML. */
const image: FormatCallback = (element, _, builder) => {
  const { alt = '' } = element.attribs as Record<string, string | undefined>
  builder.addInline(alt)
}

const isContent = ({ type, data = '' }: DomNode) => type !== 'text' || data.trim() !== ''

const heading = (level: number) => ({
  selector: `h${level}`,
  format: 'block',
  options: { leadingLineBreaks: 2, trailingLineBreaks: 2 },
})
const lines = { leadingLineBreaks: 1, trailingLineBreaks: 1 }

/** What browsers show on lines of its own, and the library does not. Source: HTML Standard, section 15.3. */
const blocks = ['address', 'body', 'caption', 'center', 'dd', 'details', 'dialog', 'dl', 'dt', 'fieldset', 'figcaption', 'figure',
  'hgroup', 'legend', 'li', 'menu', 'optgroup', 'option', 'search', 'summary', 'td', 'th'] // biome-ignore format: one list

const options: HtmlToTextOptions = {
  // All of it: a footer behind </html> is shown by browsers as well.
  baseElements: { selectors: [], returnDomByDefault: true },
  formatters: { row, list, quote, link, picture: image },
  limits: { maxDepth, ellipsis: '…', maxInputLength: maxChars },
  selectors: [
    { selector: 'a', format: 'link' },
    { selector: 'blockquote', format: 'quote' },
    ...[1, 2, 3, 4, 5, 6].map(heading),
    { selector: 'img', format: 'picture' },
    { selector: 'ol', format: 'list' },
    { selector: 'ul', format: 'list' },
    { selector: 'table', format: 'block', options: lines },
    { selector: 'title', format: 'skip' },
    { selector: 'tr', format: 'row' },
    ...blocks.map(selector => ({ selector, format: 'block', options: lines })),
  ],
  // A space that does not break and a mark of byte order are blanks too.
  whitespaceCharacters: ' \t\r\n\f\u200b\u00a0\ufeff',
  wordwrap: false,
}

const convert = compile(options)
