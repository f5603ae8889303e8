import { expect, test } from 'vitest'
import { z } from 'zod'
import { curl, secrets, signedBy } from '../../../test/lib/webhook.ts'
import { eventsOf, onAnyBus } from '../../../test/lib/world.ts'
import { agent } from '../../agents/agent.ts'
import { event } from '../../event.ts'
import { until } from '../../testing/wait.ts'
import { webhook } from './webhook.ts'

const paid = event('order.paid', z.object({ total: z.number() }))
const thanks = agent('thanks', { on: paid, run: async (_ctx, { total }) => `thanks for ${total}` })
const endpoints = { orders: { secret: secrets.standard, publishes: [paid] } }
const body = '{"type":"order.paid","total":3}'

onAnyBus(world => {
  test('a webhook starts an agent, once, however often it comes', async () => {
    const running = await (await world()).worker(
      { use: [thanks, webhook({ port: 0, endpoints })] },
      { only: ['agents', 'triggers'] },
    )
    const headers = await signedBy.standard(body)
    const first = await curl(`${running.addresses[0]}/orders`, body, headers)
    const second = await curl(`${running.addresses[0]}/orders`, body, headers)
    expect([first.status, second.body]).toEqual([202, { ...first.body, duplicate: true }])
    const events = await until(async () => {
      const found = await eventsOf(running, first.body.correlationid!)
      return found.some(({ type }) => type === 'agent.task.completed') && found
    })
    const ends = events.filter(({ type }) => type === 'agent.task.completed')
    expect(ends.map(({ data }) => data)).toEqual([{ program: 'thanks', output: 'thanks for 3' }])
    expect(events.filter(({ type }) => type === 'order.paid')).toHaveLength(1)
  })
})
