import { z } from 'zod'
import { noopModel } from '../../../bench/lib/noop-model.ts'
import { agent, app, model, smtp, tool } from '../../../src/index.ts'

/*
 * A mail starts a clerk, which asks two researchers (LLM agents with a tool whose first run fails) and books something that
 * must not be booked twice; what it announces starts an archivist and one who counts.
 */

export const search = tool('search', {
  description: 'Fails at first.',
  input: z.object({ q: z.string() }),
  retry: { maxAttempts: 2 },
  run: ({ q }, { attempt }) => {
    if (attempt === 1) throw new Error('busy, said the shop of sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF')
    return { q }
  },
})
export const book = tool('book', {
  description: 'Books.',
  input: z.object({ what: z.string() }),
  atMostOnce: true,
  run: () => 'booked',
})
const thinker = model(noopModel('search', 2), { name: 'thinker', price: { input: 1_000_000, output: 2_000_000 } })
const researcher = agent('researcher', { model: thinker, instructions: 'Look it up.', tools: [search] })
const clerk = agent('clerk', {
  on: ['email.received', 'tea.wanted'],
  async run(ctx, mail: { subject: string }) {
    await ctx.all([1, 2].map(i => branch => branch.call(researcher, `${mail.subject} ${i}`)))
    await ctx.call(book, { what: mail.subject })
    await ctx.sleep('10ms')
    ctx.emit({ type: 'case.closed', data: { of: mail.subject } })
    return 'closed'
  },
})
const archivist = agent('archivist', {
  on: 'case.closed',
  async run(ctx) {
    await ctx.call(book, { what: 'a shelf' })
    return 'archived'
  },
})
const counter = agent('counter', { on: 'case.closed', run: () => Promise.resolve(1) })

export default app({ name: 'story', use: [clerk, archivist, counter, researcher, search, book, thinker, smtp()] })
