import { agent, app, event } from '../../src/index.ts'
import { z } from 'zod'

const placed = event('order.placed', z.object({ order: z.string(), amount: z.number() }))
const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))

const clerk = agent('clerk', {
  on: placed,
  waitsFor: [paid],
  async run(ctx, { order, amount }) {
    ctx.state.phase = 'waiting for payment'
    const payment = await ctx.waitFor(paid, { where: each => each.amount >= amount, within: '30m' })
    ctx.state.phase = payment ? 'paid' : 'expired'
    ctx.log.info('the order is decided', { order, paid: payment !== undefined })
    return payment ? `${order} is paid` : `${order} was not paid in time`
  },
})

export default app({ use: [clerk] })
