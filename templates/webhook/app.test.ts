import { test } from 'node:test'
import { testApp } from 'tidings/testing'
import app, { placed, reserved } from './app.ts'

test('an order is reserved', async () => {
  await using world = await testApp(app)
  await world.publish(placed, { order: 'A1', item: 'lamp' })
  await world.expect(reserved, { order: 'A1', shelf: 'shelf of lamp' })
})

test('the stock is asked once more when it fails', async () => {
  let attempts = 0
  await using world = await testApp(app, {
    tools: {
      'stock.reserve': () => {
        if (++attempts === 1) throw new Error('the stock is closed')
        return { shelf: 'B2' }
      },
    },
  })
  await world.publish(placed, { order: 'A1', item: 'lamp' })
  await world.expect(reserved, { shelf: 'B2' })
})
