import { type Section, stands } from './citations.ts'
import { announced } from './example.ts'
import type { Found } from './library/library.ts'

/** Sections whose every sentence is checked. */
export interface Draft {
  readonly question: string
  readonly sections: readonly Section[]
  /** Parts of the question for which nothing was found. */
  readonly unanswered: readonly string[]
  /** The writer is not sure that this answers the question. */
  readonly unsure?: boolean
  readonly model: string
  /** Who approved it. */
  readonly approvedBy?: string | undefined
}

/** The common content of both forms of a report. */
export interface Report {
  readonly question: string
  /** A first remark if the answer is incomplete. */
  readonly caution: string | undefined
  readonly sections: readonly { readonly heading: string; readonly items: readonly Item[] }[]
  readonly unanswered: readonly string[]
  /** The cited passages; citations are numbered from 1. */
  readonly sources: readonly Found[]
  readonly imprint: string
}

interface Item {
  readonly text: string
  readonly numbers: readonly number[]
  /** The code or list that the text announces, in Markdown. */
  readonly example: string | undefined
}

const noAnswer = 'The documents do not answer this question.'
const partly = 'The documents do not answer this question as a whole. On parts of it they say:'
const doubtful = 'It is not certain that this answers the question: no passage says all of it.'
export const notFoundHeading = 'Looked for and not found'

/** Numbers the passages, adds the blocks that statements announce, and removes repetitions within a section. */
export function compose(
  { question, sections, unanswered, unsure, model, approvedBy }: Draft,
  read: (id: string) => Found,
): Report {
  const sources: Found[] = []
  const numberOf = (id: string) => {
    if (!sources.some(source => source.id === id)) sources.push(read(id))
    return sources.findIndex(source => source.id === id) + 1
  }
  const whole = !unanswered.includes(question)
  const composed = sections.map(({ heading, statements }) => {
    const examples = statements.map(({ text, citations }) => announced(text, read(citations[0]!).text))
    const items = statements.flatMap(({ text, citations }, i) => {
      const repeated = examples.some((example, j) => j !== i && example !== undefined && stands(text, example))
      return repeated ? [] : [{ text, numbers: citations.map(numberOf), example: examples[i] }]
    })
    return { heading: whole || !/^short answer$/i.test(heading) ? heading : '', items }
  })
  const caution = sources.length === 0 ? noAnswer : !whole ? partly : unsure ? doubtful : undefined
  const promise = 'Every sentence above stands word for word in the passage that its number names. '
  const approval = approvedBy === undefined ? '' : ` Approved by ${approvedBy}.`
  const imprint = `${sources.length > 0 ? promise : ''}Written by report-desk with the model ${model}.${approval}`
  const missing = unanswered.filter(part => part !== question)
  return { question, caution, sections: composed, unanswered: missing, sources, imprint }
}
