import { expect, test } from 'vitest'
import { freePort } from '../../src/testing/ports.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { webhook } from '../../src/triggers/webhook/webhook.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { curl, secrets, signedBy } from '../lib/webhook.ts'
import { server, worker } from './lib/broker.ts'

describeNatsServer('a webhook while the broker is away', () => {
  test('is answered long before a write gives up, and the retry is stored once', async () => {
    const nats = await server()
    const port = await freePort()
    const { bus } = await worker(nats.url, [webhook({ port, endpoints: { orders: { secret: secrets.standard } } })], {
      only: ['triggers'],
      bus: `${nats.url}/log?timeout=120000`,
    })
    const order = '{"n":1}'
    const headers = await signedBy.standard(order)
    const post = () => curl(`http://127.0.0.1:${port}/hooks/orders`, order, headers)

    await nats.kill()
    const written = bus.publish({ type: 'order.placed', data: null })
    await until(() => bus.driver.problem)
    const refused = await post()
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'E_LOG_UNAVAILABLE' } } })
    expect(refused.headers).toContain('retry-after: 1')

    await nats.restart()
    await until(async () => (await post()).status === 202, { within: 20_000 })
    expect(await post()).toMatchObject({ status: 202, body: { duplicate: true } })
    // What an app publishes has waited for the broker all the while.
    await written
    const stored = (await collect(bus.read({}))).map(({ event }) => event.type)
    expect(stored.toSorted()).toEqual(['order.placed', 'webhook.received'])
  }, 60_000)
})
