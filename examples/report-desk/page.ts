import { Marked } from 'marked'
import { notFoundHeading, type Report } from './compose.ts'

/** A report as an HTML page: citation numbers link to the sources, and each source opens at its passage. */
export function pageOf({ question, caution, sections, unanswered, sources, imprint }: Report): string {
  const body = sections.flatMap(({ heading, items }) => [
    ...(heading === '' ? [] : [`<h2>${inline(heading)}</h2>`]),
    ...items.flatMap(({ text, numbers, example }) => [
      `<p>${inline(text)} ${numbers.map(number => `<a href="#source-${number}">[${number}]</a>`).join(' ')}</p>`,
      ...(example === undefined ? [] : [quoted.parse(example, { async: false })]),
    ]),
  ])
  const missing = unanswered.map(part => `<li>${escape(part)}</li>`)
  const list = sources.map(
    ({ id, place, heading, text }, i) =>
      `<li id="source-${i + 1}"><details><summary><code>${escape(id)}</code> (${place}) ${escape(heading)}</summary>` +
      `<pre>${escape(text)}</pre></details></li>`,
  )
  const blocks = [
    `<h1>${escape(question)}</h1>`,
    ...(caution === undefined ? [] : [`<p>${caution}</p>`]),
    ...body,
    ...(missing.length > 0 ? [`<h2>${notFoundHeading}</h2>`, `<ul>${missing.join('')}</ul>`] : []),
    ...(list.length > 0 ? ['<h2>Sources</h2>', `<ol>\n${list.join('\n')}\n</ol>`] : []),
    `<footer>${escape(imprint)}</footer>`,
  ]
  return `${head(question)}\n${blocks.join('\n')}\n</html>\n`
}

const head = (title: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>
  :root { color-scheme: light dark; font: 17px/1.6 system-ui, sans-serif }
  body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
  h1 { line-height: 1.25 }
  summary { cursor: pointer }
  pre { overflow-x: auto; border-left: 3px solid #8886; padding-left: 1rem; font-size: .85em }
  details pre { white-space: pre-wrap }
  footer { margin-top: 3rem; font-size: .85em; opacity: .7 }
</style>`

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (text: string) => text.replace(/[&<>"']/g, sign => escapes[sign]!)

/** Quoted Markdown as HTML, without raw HTML, pictures and relative links. */
const quoted = new Marked({
  renderer: {
    html: ({ text }) => (/^<br\s*\/?>$/i.test(text) ? '<br>' : escape(text)),
    image: ({ text }) => escape(text),
    link({ href, tokens }) {
      const text = this.parser.parseInline(tokens)
      return /^https?:\/\//i.test(href) ? `<a href="${escape(href)}">${text}</a>` : text
    },
  },
})

/** Only the text of a link within its own document. */
const inline = (markdown: string) =>
  quoted.parseInline(markdown.replace(/\[([^[\]]+)\]\[[^[\]]*\]/g, '$1'), { async: false })
