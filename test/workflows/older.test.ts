import { expect, it } from 'vitest'
import { on, workflow } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { eventsOf, onAnyBus, typesOf } from '../lib/world.ts'

const before = workflow('order', { on: 'order.placed', within: '1h' })
  .when('paid', on('order.paid').as('paid'), { within: '1h' })
  .emit('order.done', s => ({ by: s.paid.by }))
const after = workflow('order', { on: 'order.placed', within: '1h', version: 2 }).emit('order.done', () => 'at once')

onAnyBus(world =>
  it('an instance receives what only its own definition waits for, when the app has another', async () => {
    const log = await world()
    const first = await log.worker({ use: [before] })
    const { correlationid } = await first.bus.publish({ type: 'order.placed', data: null })
    await until(async () => typesOf(await eventsOf(first, correlationid)).includes('timer.set'))
    await log.stop()
    const second = await log.worker({ use: [after] })
    const { correlationid: stray } = await second.bus.publish({ type: 'order.paid', data: { by: 'nobody' } })
    await second.bus.publish({ type: 'order.paid', data: { by: 'ann' }, correlationid })
    const done = await until(async () =>
      (await eventsOf(second, correlationid)).find(({ type }) => type === 'order.done'),
    )
    expect(done.data).toEqual({ by: 'ann' })
    const { correlationid: next } = await second.bus.publish({ type: 'order.placed', data: null })
    await until(async () => typesOf(await eventsOf(second, next)).includes('order.done'))
    expect(typesOf(await eventsOf(second, stray))).toEqual(['order.paid'])
  }),
)
