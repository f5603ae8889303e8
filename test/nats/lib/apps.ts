import { z } from 'zod'
import { agent } from '../../../src/agents/agent.ts'
import { tool } from '../../../src/tools/tool.ts'

export const double = tool('double', { description: 'Doubles.', input: z.number(), run: n => n * 2 })

/** Answers with the double. */
export const doubler = agent('doubler', { on: 'go', run: ctx => ctx.call(double, ctx.event.data as number) })

/** Doubles five times, one turn after the other. */
export const steps = agent('steps', {
  on: 'go',
  run: async ctx => {
    let n = ctx.event.data as number
    for (let i = 0; i < 5; i++) n = await ctx.call(double, n)
    return n
  },
})
