import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Section, stands } from './citations.ts'
import { announced } from './example.ts'
import type { Found } from './library/library.ts'
import { pageOf } from './page.ts'

export interface Draft {
  readonly question: string
  readonly sections: readonly Section[]
  /** Parts of the question on which nothing was found. */
  readonly unanswered: readonly string[]
  readonly model: string
}

/** What both forms of a report are made of. */
export interface Report extends Omit<Draft, 'sections'> {
  readonly sections: readonly { readonly heading: string; readonly items: readonly Item[] }[]
  /** What is cited; the numbers of the citations count from 1. */
  readonly sources: readonly Found[]
  readonly imprint: string
}

interface Item {
  readonly text: string
  readonly numbers: readonly number[]
  /** The code or list that the text announces, in Markdown. */
  readonly example: string | undefined
}

export const noAnswer = 'The documents do not answer this question.'
export const notFoundHeading = 'Looked for and not found'

/** Writes the same files again for the same report. Returns what is in them and where they are. */
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

/** Numbers the passages, adds what the statements announce, and leaves out what is then said twice in a section. */
function compose({ sections, ...rest }: Draft, read: (id: string) => Found): Report {
  const sources: Found[] = []
  const numberOf = (id: string) => {
    if (!sources.some(source => source.id === id)) sources.push(read(id))
    return sources.findIndex(source => source.id === id) + 1
  }
  const composed = sections.map(({ heading, statements }) => {
    const examples = statements.map(({ text, citations }) => announced(text, read(citations[0]!).text))
    const items = statements.flatMap(({ text, citations }, i) => {
      const repeated = examples.some((example, j) => j !== i && example !== undefined && stands(text, example))
      return repeated ? [] : [{ text, numbers: citations.map(numberOf), example: examples[i] }]
    })
    return { heading, items }
  })
  const quoted =
    sources.length > 0 ? 'Every sentence above stands word for word in the passage that its number names. ' : ''
  return {
    ...rest,
    sections: composed,
    sources,
    imprint: `${quoted}Written by report-desk with the model ${rest.model}.`,
  }
}

function markdownOf({ question, sections, unanswered, sources, imprint }: Report): string {
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
    ...(sources.length > 0 ? body : [noAnswer]),
    ...(unanswered.length > 0 ? [`## ${notFoundHeading}`, unanswered.map(part => `- ${part}`).join('\n')] : []),
    ...(sources.length > 0 ? ['## Sources', list.join('\n')] : []),
    '---',
    `_${imprint}_`,
  ]
  return `${blocks.join('\n\n')}\n`
}

/** A reader never sees half a file. */
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
