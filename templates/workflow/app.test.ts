import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testApp } from 'tidings/testing'
import app, { paid, placed } from './app.ts'

const small = { order: 'A1', mail: 'ann@example.com', total: 12 }

test('an order is shipped when it is paid', async () => {
  await using world = await testApp(app)
  await world.publish(placed, small)
  await world.advance('2d')
  await world.publish(paid, { order: 'A1' })
  await world.expect('order.shipped', { order: 'A1' })
})

test('the customer is reminded after two weeks, and the order ends after four', async () => {
  const mails: string[] = []
  await using world = await testApp(app, {
    tools: { 'mail.send': ({ to }: { to: string }) => mails.push(to) },
  })
  await world.publish(placed, small)
  await world.expect('agent.task.failed')
  assert.deepEqual(mails, ['ann@example.com'])
  assert.equal(world.now.toISOString(), '2026-01-29T00:00:00.000Z')
  assert.deepEqual(await world.events('order.shipped'), [])
})

test('a person checks a large order', async () => {
  await using world = await testApp(app)
  await world.publish(placed, { ...small, total: 5_000 })
  await world.approve('check', { by: 'bob' })
  await world.publish(paid, { order: 'A1' })
  await world.expect('order.shipped', { order: 'A1' })
})
