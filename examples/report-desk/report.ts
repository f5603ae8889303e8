import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Marked } from 'marked'
import type { Section, Statement } from './citations.ts'
import { announced } from './example.ts'
import type { Found } from './library/library.ts'

export interface Report {
  readonly question: string
  readonly sections: readonly Section[]
  /** Parts of the question on which nothing was found. */
  readonly unanswered: readonly string[]
  /** What is cited, in the order of its numbers. */
  readonly passages: readonly Found[]
  readonly model: string
}

/** Writes the same files again for the same report. Returns what is in them and where they are. */
export function writeReport(report: Report, { folder, key }: { folder: string; key: string }) {
  const markdown = markdownOf(report)
  const name = join(folder, `${slugOf(report.question)}-${key}`)
  const files = { markdown: `${name}.md`, html: `${name}.html` }
  mkdirSync(folder, { recursive: true })
  replace(files.markdown, markdown)
  replace(files.html, htmlOf(report))
  const citations = report.passages.map(({ id, path, place, heading }, i) => ({
    number: i + 1,
    id,
    path,
    place,
    heading,
    quotes: report.sections.flatMap(({ statements }) =>
      statements.filter(statement => statement.citations.includes(id)).map(({ text }) => text),
    ),
  }))
  return { answered: citations.length > 0, markdown, citations, files }
}

/** A reader never sees half a file. */
function replace(file: string, content: string) {
  writeFileSync(`${file}.tmp`, content)
  renameSync(`${file}.tmp`, file)
}

function slugOf(question: string): string {
  const words = question.toLowerCase().normalize('NFKD').match(/[a-z0-9]+/g) ?? ['report']
  return words.join('-').slice(0, 60).replace(/-$/, '')
}

export function markdownOf({ question, sections, unanswered, passages, model }: Report): string {
  const numbers = new Map(passages.map(({ id }, i) => [id, i + 1]))
  const body = sections.flatMap(({ heading, statements }) => [
    ...(heading === '' ? [] : [`## ${heading}`]),
    ...statements.flatMap(statement => {
      const references = statement.citations.map(id => `[${numbers.get(id)}]`).join(' ')
      const example = exampleOf(statement, passages)
      return [`${statement.text} ${references}`, ...(example === undefined ? [] : [example])]
    }),
  ])
  const sources = passages.map(
    ({ id, place, heading }, i) => `${i + 1}. \`${id}\` (${place})${heading === '' ? '' : ` — ${heading}`}`,
  )
  const missing = unanswered.map(part => `- ${part}`).join('\n')
  return `${[
    `# ${question}`,
    ...(passages.length > 0 ? body : [noAnswer]),
    ...(missing === '' ? [] : ['## Not answered', nothingOn, missing]),
    ...(sources.length > 0 ? ['## Sources', sources.join('\n')] : []),
    '---',
    `_${imprint(model, passages.length)}_`,
  ].join('\n\n')}\n`
}

function exampleOf({ text, citations }: Statement, passages: readonly Found[]): string | undefined {
  return announced(text, passages.find(({ id }) => citations.includes(id))?.text ?? '')
}

const noAnswer = 'The documents do not answer this question.'
const nothingOn = 'Nothing was found in the documents on:'

const imprint = (model: string, sources: number) =>
  `${sources > 0 ? 'Every sentence above is quoted word for word from the passage that its number names, and was checked against it. ' : ''}Written by report-desk with the model ${model}.`

/** The same as a page: numbers lead to the sources, and each source opens on the passage itself. */
export function htmlOf({ question, sections, unanswered, passages, model }: Report): string {
  const numbers = new Map(passages.map(({ id }, i) => [id, i + 1]))
  const reference = (id: string) => `<a href="#source-${numbers.get(id)}">[${numbers.get(id)}]</a>`
  const body = sections.map(
    ({ heading, statements }) =>
      (heading === '' ? '' : `<h2>${inline(heading)}</h2>\n`) +
      statements
        .map(statement => {
          const example = exampleOf(statement, passages)
          const paragraph = `<p>${inline(statement.text)} ${statement.citations.map(reference).join(' ')}</p>`
          return example === undefined ? paragraph : `${paragraph}\n${quoted.parse(example, { async: false })}`
        })
        .join('\n'),
  )
  const sources = passages.map(
    ({ id, place, heading, text }, i) =>
      `<li id="source-${i + 1}"><details><summary><code>${escape(id)}</code> (${place}) ${escape(heading)}</summary>` +
      `<pre>${escape(text)}</pre></details></li>`,
  )
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(question)}</title>
<style>
  :root { color-scheme: light dark; font: 17px/1.6 system-ui, sans-serif }
  body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
  h1 { line-height: 1.25 }
  summary { cursor: pointer }
  pre { overflow-x: auto; border-left: 3px solid #8886; padding-left: 1rem; font-size: .85em }
  details pre { white-space: pre-wrap }
  footer { margin-top: 3rem; font-size: .85em; opacity: .7 }
</style>
<h1>${escape(question)}</h1>
${passages.length > 0 ? body.join('\n') : `<p>${noAnswer}</p>`}
${unanswered.length > 0 ? `<h2>Not answered</h2>\n<p>${nothingOn}</p>\n<ul>${unanswered.map(part => `<li>${escape(part)}</li>`).join('')}</ul>` : ''}
${sources.length > 0 ? `<h2>Sources</h2>\n<ol>\n${sources.join('\n')}\n</ol>` : ''}
<footer>${imprint(escape(model), passages.length)}</footer>
</html>
`
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (text: string) => text.replace(/[&<>"']/g, sign => escapes[sign]!)

/** Quoted Markdown as HTML: no HTML of its own, no pictures, and only links that lead somewhere from here. */
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

const inline = (markdown: string) =>
  quoted.parseInline(markdown.replace(/\[([^[\]]+)\]\[[^[\]]*\]/g, '$1'), { async: false })
