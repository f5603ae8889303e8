import { z } from 'zod'
import { tool, TidingsError } from '../../src/index.ts'
import { checkCitations, draftOf } from './citations.ts'
import type { Library } from './library/library.ts'
import { writeReport } from './report.ts'

const section = z.object({
  heading: z.string(),
  statements: z.array(z.object({ text: z.string(), citations: z.array(z.string()).readonly() })).readonly(),
})

/** What the agents can do. Everything that touches a file is in here. */
export function tools(library: Library, reports: string, model: string) {
  const passage = (id: string) => {
    const found = library.read(id)
    if (!found) throw new TidingsError('E_NOT_FOUND', `the library has no passage ${id}`)
    return found
  }
  const checked = (draft: string) => checkCitations(draft, id => library.read(id)?.text)

  const search = tool('library.search', {
    description: 'Full-text search in the documents. Returns the best passages, each with its id and a snippet.',
    input: z.object({
      query: z.string().min(1).max(500).describe('Key words, not a sentence.'),
      limit: z.number().int().min(1).max(20).optional(),
    }),
    run: ({ query, limit }) => ({ hits: library.search(query, limit) }),
  })

  const read = tool('library.read', {
    description: 'Reads one passage of the documents, word for word, by the id that library_search gave.',
    input: z.object({ id: z.string() }),
    run: ({ id }) => passage(id),
  })

  const check = tool('citations.check', {
    description: 'Keeps of a draft only the sentences that stand word for word in the passages that they cite.',
    input: z.object({ draft: z.string() }),
    run: ({ draft }) => checked(draft),
  })

  const write = tool('report.write', {
    description: 'Writes a checked report as Markdown and HTML.',
    input: z.object({
      question: z.string(),
      sections: z.array(section).readonly(),
      unanswered: z.array(z.string()).readonly(),
    }),
    run({ question, sections, unanswered }, { event }) {
      // Once more: the documents may have changed while the desk was down.
      const draft = { question, sections: checked(draftOf(sections)).sections, unanswered, model }
      return writeReport(draft, passage, { folder: reports, key: event.correlationid.slice(-8) })
    },
  })

  return { search, read, check, write }
}

export type Tools = ReturnType<typeof tools>
