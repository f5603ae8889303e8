import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { describeNats, natsUrl } from '../../test/lib/nats.ts'
import { curl, secrets, signedBy } from '../../test/lib/webhook.ts'
import { eventsOf, onEveryBus } from '../../test/lib/world.ts'
import { agent } from '../agents/agent.ts'
import { Bus } from '../bus/bus.ts'
import { openNats } from '../drivers/nats/index.ts'
import { event } from '../event.ts'
import { startProxy } from '../testing/tcp-proxy.ts'
import { collect, until } from '../testing/wait.ts'
import { webhook } from './webhook.ts'

const paid = event('order.paid', z.object({ total: z.number() }))
const thanks = agent('thanks', { on: paid, run: async (_ctx, { total }) => `thanks for ${total}` })
const endpoints = { orders: { secret: secrets.standard, publishes: [paid] } }
const body = '{"type":"order.paid","total":3}'

onEveryBus(world => {
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

describeNats('a broker that is away', () => {
  test('the source is told to come again, and is taken once when the broker is back', async () => {
    const wire = await startProxy({ port: Number(new URL(natsUrl()).port) })
    const url = new URL(`${natsUrl()}/webhook-${randomUUID()}`)
    url.port = String(wire.port)
    const bus = new Bus(await openNats({ url: url.href, patienceMs: 1_500 }))
    const running = await webhook({ port: 0, endpoints }).start(bus)
    onTestFinished(async () => {
      await running.stop()
      await bus.driver.close()
      await wire.stop()
    })
    wire.refuse()
    wire.cut()
    await until(() => bus.driver.problem)
    const headers = await signedBy.standard(body)
    const refused = await curl(`${running.address}/orders`, body, headers)
    expect(refused).toMatchObject({ status: 503, body: { error: { code: expect.stringMatching(/^E_LOG_UN/) } } })
    expect(refused.headers).toContain('retry-after: 1')
    await wire.accept()
    await until(async () => (await curl(`${running.address}/orders`, body, headers)).status === 202, { within: 15_000 })
    await curl(`${running.address}/orders`, body, headers)
    expect((await collect(bus.read({}))).map(each => each.event.type)).toEqual(['order.paid'])
  })
})
