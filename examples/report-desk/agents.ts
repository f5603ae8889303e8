import { z } from 'zod'
import { agent, type ModelLike } from '../../src/index.ts'
import { notFound, type Section, unsure } from './citations.ts'
import type { Tools } from './tools.ts'

/** A report whose every sentence is checked, for the publisher. */
interface Accepted {
  readonly question: string
  /** Absent if nothing was found. */
  readonly sections?: readonly Section[]
  readonly unanswered: readonly string[]
  /** The writer is not sure that this answers the question. */
  readonly unsure?: boolean
  /** Who approved it. Absent if it makes no claims. */
  readonly approvedBy?: string
}

const quoting = `Quote: every sentence of yours stands word for word in a passage, and ends with the id of that passage in
square brackets, like this: The scheduler runs in UTC. [docs/time.md#3]
A program removes every sentence that cannot be found in the passage it cites. Never add one of your own.`

/** The agents. Each of them reacts to events; none holds a reference to another. */
export function agents({ search, read, write }: Tools, model: ModelLike) {
  const planner = agent('planner', {
    model,
    instructions: `You plan research in a body of documents. Split the question into two to four parts that can be looked
up separately. Each part names its subject, so that it can be understood alone. Do not answer.`,
    output: z.object({ parts: z.array(z.string()).min(1).max(6) }),
  })

  const researcher = agent('researcher', {
    model,
    instructions: `You look up one part of a larger question in a library. Search with key words, read the passages that
look best, then write down what they say about the part.
${quoting}
When the passages do not say it, answer with this one line: ${notFound}`,
    tools: [search, read],
    maxSteps: 12,
  })

  const writer = agent('writer', {
    model,
    instructions: `You write a report in Markdown that answers the question, out of the notes alone: first a section
"Short answer" with the one or two sentences that answer it best, then a section for each part that adds something.
Say nothing twice. When you are given an earlier draft, fix what the remarks on it and its issues name.
Where the notes may be about something else than the question, begin with this one line: ${unsure}
${quoting}`,
  })

  const reviewer = agent('reviewer', {
    model,
    instructions: `You review a draft before it is published. Approve it when it answers the question, or as much of it as
its sources allow, without repetition. Otherwise say in short remarks what the writer has to change. Do not ask for what
the sources do not hold.`,
    output: z.object({ approved: z.boolean(), remarks: z.array(z.string()) }),
  })

  const publisher = agent('publisher', {
    on: 'report.accepted',
    async run(ctx, accepted: Accepted) {
      const report = await ctx.call(write, accepted)
      ctx.emit({ type: 'report.completed', data: { question: accepted.question, ...report } })
      return report.files
    },
  })

  return { planner, researcher, writer, reviewer, publisher }
}

export type Agents = ReturnType<typeof agents>
