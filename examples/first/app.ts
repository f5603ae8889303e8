import { agent, app, event, offlineModel, tool } from '../../src/index.ts'
import { z } from 'zod'

const notes = ['On Sunday the shop is open from ten to four.', 'On Monday the shop is closed.']

const search = tool('notes.search', {
  description: 'Search the notes.',
  input: z.object({ query: z.string() }),
  run: () => notes.map((text, i) => ({ id: `note-${i}`, text })),
})
export const helper = agent('helper', {
  model: offlineModel(),
  instructions: 'Answer from the notes.',
  tools: [search],
})
const answered = event('question.answered', z.object({ answer: z.string() }))
export const desk = agent('desk', {
  on: 'question.asked',
  async run(ctx, question: { text: string }) {
    const answer = await ctx.call(helper, question.text)
    ctx.emit(answered, { answer })
  },
})

export default app({ name: 'first', use: [search, helper, desk] })
