import { agent, app, event, tool, webhook } from 'tidings'
import { z } from 'zod'

export const placed = event('order.placed', z.object({ order: z.string(), item: z.string() }))
export const reserved = event('order.reserved', z.object({ order: z.string(), shelf: z.string() }))

// POST /hooks/orders on port 2580. The signature of each request is checked, and the event is on disk before the answer.
const hooks = webhook({
  endpoints: {
    orders: { secret: process.env.ORDERS_SECRET, type: () => placed.type, publishes: [placed] },
  },
})

const reserve = tool('stock.reserve', {
  description: 'Reserves an item',
  input: z.object({ item: z.string() }),
  retry: { retryFor: '10m' },
  output: z.object({ shelf: z.string() }),
  run: ({ item }) => ({ shelf: `shelf of ${item}` }),
})

export const clerk = agent('clerk', {
  on: placed,
  async run(ctx, { order, item }) {
    const { shelf } = await ctx.call(reserve, { item })
    ctx.emit(reserved, { order, shelf })
  },
})

export default app({ use: [hooks, clerk, reserve] })
