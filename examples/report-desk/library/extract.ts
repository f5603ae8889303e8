import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { Parser } from 'htmlparser2'
import { extractText, getDocumentProxy } from 'unpdf'

/** The text of a document, in pages where the format has them. Markdown and plain text stay as they are. */
export async function pagesOf(file: string): Promise<{ text: string; page?: number }[]> {
  const bytes = await readFile(file)
  const type = extname(file).toLowerCase()
  if (type === '.pdf') return pdfPages(bytes)
  if (bytes.includes(0)) throw new Error('it is not text')
  const text = new TextDecoder().decode(bytes)
  return [{ text: type === '.html' || type === '.htm' ? htmlText(text) : text }]
}

async function pdfPages(bytes: Buffer) {
  const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 })
  const { text } = await extractText(pdf, { mergePages: false })
  await pdf.destroy()
  return text.map((page, i) => ({ text: page, page: i + 1 }))
}

const silent = new Set(['script', 'style', 'template', 'svg', 'nav', 'noscript', 'iframe'])
const blocks = new Set(
  'p div section article main header footer aside blockquote ul ol dl dt dd table tr figure pre br hr body'.split(' '),
)

/** The text of a page, with headings and lists as Markdown, so that one rule splits both. */
export function htmlText(html: string): string {
  let text = ''
  let muted = 0
  let preformatted = 0
  const start = (sign: string) => (text = `${text.trimEnd()}\n\n${sign}`)
  const parser = new Parser({
    onopentagname(name) {
      if (silent.has(name)) muted++
      if (name === 'pre') preformatted++
      const level = /^h([1-6])$/.exec(name)?.[1]
      if (name === 'pre') start('```\n')
      else if (level) start(`${'#'.repeat(Number(level))} `)
      else if (name === 'title') start('# ')
      else if (name === 'li') start('- ')
      else if (name === 'td' || name === 'th') text += ' | '
      else if (blocks.has(name)) start('')
    },
    onclosetag(name) {
      if (silent.has(name)) muted--
      if (name === 'pre') {
        preformatted--
        text = `${text.trimEnd()}\n\`\`\``
      }
      if (blocks.has(name) || name === 'li' || name === 'title' || /^h[1-6]$/.test(name)) start('')
    },
    ontext(data) {
      if (muted === 0) text += preformatted > 0 ? data : data.replace(/\s+/g, ' ')
    },
  })
  parser.end(html)
  return text.trim()
}
