import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { tool } from '../../src/tools/tool.ts'

/* The order of the docs: its code changes what a tool answered, and sleeps. */

export const order = tool('order', { description: 'Places an order', input: z.any(), run: () => ({ total: 100 }) })

export const orders = agent('orders', {
  async run(ctx, input: { fee: number }) {
    const placed = await ctx.call(order, {})
    placed.total += 5
    input.fee += 1
    await ctx.sleep('1s')
    return [placed.total, input.fee]
  },
})
