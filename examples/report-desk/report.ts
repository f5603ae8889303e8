import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compose, type Draft, notFoundHeading, type Report } from './compose.ts'
import type { Found } from './library/library.ts'
import { pageOf } from './page.ts'

/** Idempotent: writes the same files for the same report. Returns their content and paths. */
export function writeReport(
  draft: Draft,
  read: (id: string) => Found,
  { folder, key }: { folder: string; key: string },
) {
  const report = compose(draft, read)
  const markdown = markdownOf(report)
  const name = join(folder, `${slugOf(draft.question)}-${key}`)
  const files = { markdown: `${name}.md`, html: `${name}.html` }
  mkdirSync(folder, { recursive: true })
  replace(files.markdown, markdown)
  replace(files.html, pageOf(report))
  const items = report.sections.flatMap(section => section.items)
  const citations = report.sources.map(({ id, path, place, heading }, i) => ({
    number: i + 1,
    id,
    path,
    place,
    heading,
    quotes: items.filter(item => item.numbers.includes(i + 1)).map(item => item.text),
  }))
  return { answered: citations.length > 0, markdown, citations, files }
}

function markdownOf({ question, caution, sections, unanswered, sources, imprint }: Report): string {
  const body = sections.flatMap(({ heading, items }) => [
    ...(heading === '' ? [] : [`## ${heading}`]),
    ...items.flatMap(({ text, numbers, example }) => [
      `${text} ${numbers.map(number => `[${number}]`).join(' ')}`,
      ...(example === undefined ? [] : [example]),
    ]),
  ])
  const list = sources.map(
    ({ id, place, heading }, i) => `${i + 1}. \`${id}\` (${place})${heading === '' ? '' : ` — ${heading}`}`,
  )
  const blocks = [
    `# ${question}`,
    ...(caution === undefined ? [] : [caution]),
    ...body,
    ...(unanswered.length > 0 ? [`## ${notFoundHeading}`, unanswered.map(part => `- ${part}`).join('\n')] : []),
    ...(sources.length > 0 ? ['## Sources', list.join('\n')] : []),
    '---',
    `_${imprint}_`,
  ]
  return `${blocks.join('\n\n')}\n`
}

/** Replaces the file atomically. */
function replace(file: string, content: string) {
  writeFileSync(`${file}.tmp`, content)
  renameSync(`${file}.tmp`, file)
}

function slugOf(question: string): string {
  const words = question
    .toLowerCase()
    .normalize('NFKD')
    .match(/[a-z0-9]+/g) ?? ['report']
  return words.join('-').slice(0, 60).replace(/-$/, '')
}
