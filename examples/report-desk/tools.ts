import { z } from 'zod'
import { tool, TidingsError } from '../../src/index.ts'
import { checkCitations, draftOf } from './citations.ts'
import type { Library } from './library/library.ts'
import { questionOf } from './question.ts'
import { writeReport } from './report.ts'

const section = z.object({
  heading: z.string(),
  statements: z.array(z.object({ text: z.string(), citations: z.array(z.string()).readonly() })).readonly(),
})

const note = z.object({ part: z.string(), findings: z.string() })

/** The tools of the agents. Only tools access files. */
export function tools(library: Library, reports: string, model: string) {
  const passage = (id: string) => {
    const found = library.read(id)
    if (!found) throw new TidingsError('E_NOT_FOUND', `the library has no passage "${id}"`)
    return found
  }
  const checked = (draft: string) => {
    const { sections, dropped, unsure } = checkCitations(draft, id => library.read(id)?.text)
    const removed = dropped.map(({ text, reason }) => `Removed, since ${reason}: ${text}`)
    return { sections, draft: draftOf(sections, unsure), removed, unsure }
  }

  const question = tool('question.read', {
    description: 'Reads out of a message what is asked.',
    input: z.object({ question: z.string().optional(), subject: z.string().optional(), text: z.string().optional() }),
    readOnly: true,
    run: asked => ({ question: questionOf(asked) }),
  })

  const search = tool('library.search', {
    description: 'Full-text search in the documents. Returns the best passages, each with its id and a snippet.',
    readOnly: true,
    input: z.object({
      query: z.string().min(1).max(500).describe('Key words, not a sentence.'),
      limit: z.number().int().min(1).max(20).optional(),
    }),
    run: ({ query, limit }) => ({ hits: library.search(query, limit) }),
  })

  const read = tool('library.read', {
    description: 'Reads one passage of the documents, word for word, by the id that library_search gave.',
    readOnly: true,
    input: z.object({ id: z.string() }),
    run: ({ id }) => passage(id),
  })

  const check = tool('citations.check', {
    description: 'Keeps of a draft only the sentences that stand word for word in the passages that they cite.',
    readOnly: true,
    input: z.object({ draft: z.string(), earlier: z.string().optional().describe('Kept where nothing stands.') }),
    run({ draft, earlier = '' }) {
      const now = checked(draft)
      return now.sections.length > 0 ? now : { ...checked(earlier), removed: now.removed }
    },
  })

  const sort = tool('notes.sort', {
    description: 'Tells the notes that found something from the parts of the question that are left unanswered.',
    readOnly: true,
    input: z.object({ question: z.string(), notes: z.array(note).readonly() }),
    run: ({ question, notes }) => sorted(question, notes),
  })

  const write = tool('report.write', {
    description: 'Writes a checked report as Markdown and HTML.',
    input: z.object({
      question: z.string(),
      sections: z.array(section).readonly().optional(),
      unanswered: z.array(z.string()).readonly(),
      unsure: z.boolean().optional(),
      approvedBy: z.string().optional(),
    }),
    run({ question, sections = [], unanswered, unsure = false, approvedBy }, { event }) {
      // Checked again, because the documents may have changed while the desk was down.
      const draft = { question, sections: checked(draftOf(sections)).sections, unanswered, unsure, model, approvedBy }
      return writeReport(draft, passage, { folder: reports, key: event.correlationid.slice(-8) })
    },
  })

  return { question, search, read, check, sort, write }
}

export type Tools = ReturnType<typeof tools>

function sorted(question: string, notes: readonly z.infer<typeof note>[]) {
  const found = notes.filter(({ findings }) => findings !== '')
  // If the question itself is answered, an unanswered part was only another search for it.
  const isAnswered = found.some(({ part }) => part === question)
  return { found, unanswered: isAnswered ? [] : notes.filter(each => !found.includes(each)).map(({ part }) => part) }
}
