import { agent, app, offlineModel } from '../../src/index.ts'
import first from '../../examples/first/app.ts'

/* The app of examples/first with other instructions and another answer. */

const helper = agent('helper', {
  model: offlineModel(),
  instructions: 'Answer from the notes, in one sentence.',
  tools: first.tools,
})
const desk = agent('desk', {
  on: 'question.asked',
  async run(ctx, question: { text: string }) {
    const answer = await ctx.call(helper, question.text)
    ctx.emit({ type: 'question.answered', data: { answer: `${answer}!` } })
  },
})

export default app({ name: 'first', use: [...first.tools, helper, desk] })
