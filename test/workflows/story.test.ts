import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent, all, by, event, is, not, on, tool, workflow } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { eventsOf, onEveryBus } from '../lib/world.ts'

const placed = event('order.placed', z.object({ order: z.string(), total: z.number() }))
const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))
const shipped = event('order.shipped', z.object({ order: z.string() }))

const price = tool('price.check', {
  description: 'Says whether a total is right.',
  input: z.object({ total: z.number() }),
  run: ({ total }) => ({ right: total < 100 }),
})
const echo = agent<{ n: number }, { twice: number }>('doubler', { run: (_, { n }) => ({ twice: 2 * n }) })

onEveryBus(world => {
  it('goes through calls, a fan-out and an emission, by the correlation of the event that began it', async () => {
    const report = workflow('report', { on: placed, within: '1h' })
      .call('price', price, s => ({ total: s.event.total }))
      .each('doubled', () => [{ n: 1 }, { n: 2 }, { n: 3 }], echo, { parallel: 2 })
      .choose(
        s => not(s.price.right),
        b => b.fail(() => 'wrong'),
        b => b.emit('order.checked', s => ({ order: s.event.order, first: s.doubled[0] })),
      )
      .complete(s => s.doubled)
    const log = await world()
    const running = await log.worker({ use: [report, price, echo] })
    const { correlationid } = await running.bus.publish({ type: 'order.placed', data: { order: 'a', total: 12 } })
    const ended = await until(async () =>
      (await eventsOf(running, correlationid)).find(
        ({ type, source }) => type === 'agent.task.completed' && source === '/workflows/report',
      ),
    )
    expect(ended.data).toMatchObject({ output: [{ twice: 2 }, { twice: 4 }, { twice: 6 }] })
    const checked = (await eventsOf(running, correlationid)).find(({ type }) => type === 'order.checked')
    expect(checked?.data).toEqual({ order: 'a', first: { twice: 2 } })
  })

  it('brings together by a key what happened in different correlations, in whatever order', async () => {
    const match = workflow('match', {
      key: [by(placed, p => p.order), by(paid, p => p.order), by(shipped, p => p.order)],
      within: '1h',
    })
      .when('both', all(on(placed).as('order'), on(paid).as('payment')), { within: '1h' })
      .when('sent', on(shipped).as('parcel'), { within: '1h' })
      .emit('order.done', s => ({ order: s.order.order, right: s.payment.amount }))
    const log = await world()
    const running = await log.worker({ use: [match] })
    for (const [type, data] of [
      ['order.shipped', { order: 'x' }],
      ['order.paid', { order: 'x', amount: 5 }],
      ['order.placed', { order: 'y', total: 5 }],
      ['order.placed', { order: 'x', total: 5 }],
    ] as const)
      await running.bus.publish({ type, data })
    const done = await until(async () => {
      for await (const { event } of running.bus.read({ filter: [{ types: ['order.done'] }] })) return event
    })
    expect(done.data).toEqual({ order: 'x', right: 5 })
    expect(is).toBeDefined()
  })
})
