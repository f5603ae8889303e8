import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent, app, event, webhook } from '../index.ts'
import { testApp } from './test-app.ts'

const placed = event('order.placed', z.object({ order: z.string(), total: z.number() }))

describe('webhooks', () => {
  const invoice = event('invoice.paid', z.object({ id: z.string(), data: z.object({ total: z.number() }) }))
  const push = event('push', z.object({ ref: z.string() }))
  const endpoints = {
    orders: { publishes: [placed], type: () => 'order.placed' },
    billing: {
      scheme: 'stripe' as const,
      secret: process.env.NO_SUCH_SECRET,
      publishes: [invoice],
      others: 'ignore' as const,
    },
    code: { scheme: 'github' as const, secret: 'set', publishes: [push] },
    open: { scheme: 'none' as const },
  }
  const clerk = agent('clerk', { on: invoice, run: (_, { data }) => data.total })
  const hooked = app({ use: [clerk, webhook({ endpoints })] })

  it('are signed as each endpoint requires, and start agents', async () => {
    await using world = await testApp(hooked)
    const body = { id: 'evt_1', type: 'invoice.paid', data: { total: 12 } }
    expect((await world.webhook('billing', { body })).status).toBe(202)
    expect(await (await world.webhook('billing', { body })).json()).toMatchObject({ duplicate: true })
    await world.expect('agent.task.completed', { output: 12 })
    const arrived = { body: { ref: 'main' }, headers: { 'X-GitHub-Event': 'push', 'X-GitHub-Delivery': 'd1' } }
    expect((await world.webhook('code', arrived)).status).toBe(202)
    await world.expect(push, { ref: 'main' })
    expect((await world.webhook('open', { body: new URLSearchParams({ a: '1' }) })).status).toBe(202)
    await world.expect('webhook.received', { endpoint: 'open', body: { a: '1' } })
  })

  it('are refused as in production', async () => {
    await using world = await testApp(hooked)
    const body = { order: 'A1', total: 'much' }
    expect((await world.webhook('orders', { body })).status).toBe(422)
    const forged = { body: { order: 'A1', total: 1 }, headers: { 'webhook-signature': 'v1,AAAA' } }
    expect((await world.webhook('orders', forged)).status).toBe(401)
    expect((await world.webhook('billing', { body: { id: 'evt_2', type: 'other' } })).status).toBe(204)
    expect(await world.events()).toEqual([])
    await expect(world.webhook('biling')).rejects.toThrow(
      'no webhook endpoint is named "biling"; did you mean "billing"?',
    )
    await using none = await testApp(app({ use: [clerk] }))
    await expect(none.webhook('billing')).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  })
})
