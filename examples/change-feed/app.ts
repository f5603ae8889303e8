import { agent, app } from '../../src/index.ts'
import { feed } from './feed.ts'
import { openShop } from './shop.ts'

const clerk = agent('clerk', {
  on: 'order.changed',
  async run(ctx, order: { number: number; item: string; state: string }) {
    if (order.state === 'paid') ctx.emit({ type: 'parcel.wanted', data: { order: order.number, item: order.item } })
  },
})

export default app({ name: 'shop', use: [clerk, feed('orders', openShop(process.env.SHOP ?? 'shop.db'))] })
