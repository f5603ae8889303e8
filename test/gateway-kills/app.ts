import { agent, app } from '../../src/index.ts'

/** Answers every fourth request of a client, in its correlation. */
const echo = agent('echo', {
  on: 'storm.asked',
  run: async (ctx, { n }: { n: number }) => {
    ctx.emit({ type: 'storm.heard', data: { n } })
    await ctx.sleep(10)
    return n
  },
})

export default app({ name: 'storm', use: [echo] })
