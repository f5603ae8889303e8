import { agent, app, tool } from '../../src/index.ts'
import { z } from 'zod'

const ship = tool('parcels.ship', { description: 'Ships.', input: z.string(), run: order => `parcel of ${order}` })

const clerk = agent('clerk', {
  on: 'order.placed',
  async run(ctx, { order }: { order: string }) {
    const rates = await ctx.step('fetch rates', ({ signal }) => fetchRates(signal), {
      timeout: '10s',
      retry: { maxAttempts: 5 },
    })
    const charged = await ctx.step('charge', ({ idempotencyKey }) => charge(order, rates.EUR, idempotencyKey))
    return { charged, parcel: await ctx.call(ship, order) }
  },
})

async function fetchRates(signal: AbortSignal) {
  signal.throwIfAborted()
  return { EUR: 1.1 }
}

async function charge(order: string, amount: number, key: string) {
  return { order, amount, key: key !== '' }
}

export default app({ use: [clerk, ship] })
