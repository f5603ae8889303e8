import { compile, type DomNode, type FormatCallback, type HtmlToTextOptions } from 'html-to-text'

/*
 * The visible text of HTML, for mails without a text part. html-to-text parses the HTML; the limits are here. Parsing time
 * grows with the square of the number of open tags, so the number of tags is limited. Lists, quotes and tables have
 * formatters of our own, because the output of the library grows with depth or column width.
 */

const maxTags = 20_000
const maxChars = 4 * 1024 * 1024
const maxDepth = 200
// Marking each line of nested quotes could make the text many times larger than the HTML.
const maxQuotedChars = 64 * 1024

/** Converts the HTML parts of one mail; they share the limits. */
export function htmlReader(): (html: string) => string {
  let [tags, chars] = [maxTags, maxChars]
  return html => {
    const truncated = truncate(html, tags, chars)
    tags -= truncated.tags
    chars -= truncated.html.length
    const text = normalizeLines(convert(truncated.html))
    return truncated.html === html ? text : `${text}\n\n[cut: the rest is only in the HTML]`.trimStart()
  }
}

function truncate(html: string, tagLimit: number, charLimit: number): { html: string; tags: number } {
  let tags = 0
  let end = Math.min(html.length, charLimit)
  for (let at = html.indexOf('<'); at >= 0 && at < end; at = html.indexOf('<', at + 1))
    if (tags === tagLimit) end = at
    else tags++
  return { html: html.slice(0, end), tags }
}

/** Removes trailing blanks, repeated empty lines, and empty lines around the text. */
function normalizeLines(text: string): string {
  const lines: string[] = []
  for (const line of text.toWellFormed().split('\n')) {
    const trimmed = line.trimEnd()
    if (trimmed || lines.at(-1)) lines.push(trimmed)
  }
  return lines.join('\n').trim()
}

/** Separates cells with a tab. A row with a multi-line cell is layout, so each cell gets a line of its own. */
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
  const withMarks = (text: string) => text.trim().replace(/^/gm, '> ')
  builder.closeBlock({
    trailingLineBreaks: 2,
    blockTransform: text => (text.length > maxQuotedChars ? text : withMarks(text)),
  })
}

/** The text and the URL. The formatter of the library takes quadratic time for nested links. */
const link: FormatCallback = (element, walk, builder) => {
  const { href = '' } = element.attribs as Record<string, string | undefined>
  walk(element.children, builder)
  const [only, ...others] = element.children
  const text = others.length === 0 ? only?.data?.trim() : undefined
  if (href !== '' && href[0] !== '#' && href !== text && href !== `mailto:${text}`) builder.addInline(` [${href}]`)
}

/** Only the alternative text; the HTML has the URL. */
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

/** Block elements that the library treats as inline. Source: HTML Standard, section 15.3. */
const blocks = ['address', 'body', 'caption', 'center', 'dd', 'details', 'dialog', 'dl', 'dt', 'fieldset', 'figcaption', 'figure',
  'hgroup', 'legend', 'li', 'menu', 'optgroup', 'option', 'search', 'summary', 'td', 'th'] // biome-ignore format: one list

const options: HtmlToTextOptions = {
  // The whole input: browsers also show a footer after </html>.
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
  // Includes the no-break space, the zero-width space and the byte order mark.
  whitespaceCharacters: ' \t\r\n\f\u200b\u00a0\ufeff',
  wordwrap: false,
}

const convert = compile(options)
