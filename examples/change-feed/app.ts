import { z } from 'zod'
import { agent, app, event } from '../../src/index.ts'
import { feed } from './feed.ts'
import { openShop } from './shop.ts'

const changed = event('order.changed', z.object({ number: z.number(), item: z.string(), state: z.string() }))
const wanted = event('parcel.wanted', z.object({ order: z.number(), item: z.string() }))

const clerk = agent('clerk', {
  on: changed,
  async run(ctx, { number, item, state }) {
    if (state === 'paid') ctx.emit(wanted, { order: number, item })
  },
})

export default app({ name: 'shop', use: [clerk, feed('orders', openShop(process.env.SHOP ?? 'shop.db'))] })
