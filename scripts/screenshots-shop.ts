import { z } from 'zod'
import { absent, agent, any, app, by, event, exists, not, offlineModel, on, tool, workflow } from '../src/index.ts'

/* A shop whose tools fail now and then and whose refunds need a person: what the screenshots of the console show beside the report desk. */

const placed = event('order.placed', z.object({ order: z.string(), total: z.number() }))
const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))
const returned = event('order.returned', z.object({ order: z.string(), amount: z.number(), reason: z.string() }))

const charge = tool('card.charge', {
  description: 'Charges a card.',
  input: z.object({ order: z.string(), amount: z.number() }),
  output: z.object({ receipt: z.string(), amount: z.number() }),
  retry: { maxAttempts: 3, backoff: '200ms' },
  run({ order, amount }, { attempt }) {
    if (order.endsWith('7')) throw new Error(`the bank refused order ${order}`)
    if (attempt < Number(order.at(-1)) % 3) throw new Error('the bank did not answer')
    return { receipt: `R-${order}`, amount }
  },
})

const refund = tool('card.refund', {
  description: 'Pays money back.',
  input: z.object({ order: z.string(), amount: z.number(), reason: z.string() }),
  approval: ({ amount }) => amount > 100,
  run: ({ order }) => ({ refunded: order }),
})

const cashier = agent('cashier', {
  on: placed,
  async run(ctx, { order, total }) {
    const { amount } = await ctx.call(charge, { order, amount: total })
    ctx.emit(paid, { order, amount })
  },
})

const returns = agent('returns', {
  on: returned,
  async run(ctx, { order, amount, reason }) {
    return ctx.call(refund, { order, amount, reason })
  },
})

const find = tool('orders.find', {
  description: 'Finds orders.',
  input: z.object({ query: z.string() }),
  run: () => [{ id: 'note-1', text: 'Order A-12 was shipped on Monday and arrives on Thursday.' }],
})

const clerk = agent('shop-assistant', {
  model: offlineModel(),
  instructions: 'Answer questions about orders.',
  tools: [find],
})

const watch = workflow('order-watch', { key: [by(placed, p => p.order), by(paid, p => p.order)], within: '30d' })
  .when('placed', on(placed).as('order'), { within: '30d' })
  .when('payment', any(on(paid).as('payment'), absent(on(paid), '2d')), { within: '3d' })
  .choose(
    s => not(exists(s.payment)),
    late => late.emit('payment.chased', s => ({ order: s.order.order })),
  )
  .complete(s => s.order.total)

export default app({ name: 'shop', use: [find, charge, refund, cashier, returns, clerk, watch] })
