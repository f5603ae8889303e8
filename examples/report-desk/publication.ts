import { z } from 'zod'
import { prompt, resource } from '../../src/mcp/index.ts'
import type { Agents } from './agents.ts'
import type { Tools } from './tools.ts'

/** What clients of the Model Context Protocol may use of the desk: its library, and the agent that quotes from it. */
export const publication = ({ search, read }: Tools, { researcher }: Agents) => [
  search,
  read,
  researcher,
  resource('passage', {
    uri: 'library://passages/{id}',
    title: 'A passage of the documents',
    run: async (ctx, { id }) => (await ctx.call(read, { id })).text,
  }),
  prompt('quote', {
    title: 'Answer from the library',
    description: 'Puts the passages about a topic before a question.',
    input: z.object({ topic: z.string().describe('Key words'), question: z.string() }),
    async run(ctx, { topic, question }) {
      const { hits } = await ctx.call(search, { query: topic, limit: 5 })
      const found = await Promise.all(hits.map(({ id }) => ctx.call(read, { id })))
      return `${found.map(({ id, text }) => `[${id}]\n${text}`).join('\n\n')}\n\nAnswer with quotations from these passages: ${question}`
    },
  }),
]
