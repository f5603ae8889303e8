import { expect, it } from 'vitest'
import { all, by, on, workflow } from '../../src/index.ts'
import { until } from '../../src/testing/wait.ts'
import { onAnyBus } from '../lib/world.ts'

const watch = workflow('watch', { key: [by('a.came', e => e.n), by('b.came', e => e.n)], within: '1h' })
  .when('both', all(on('a.came').as('a'), on('b.came').as('b')), { within: '1h' })
  .emit('both.came', s => ({ n: s.a.n }))

onAnyBus(world =>
  it('redriven events never reach an instance that is not redriven', async () => {
    const { bus } = await (await world()).worker({ use: [watch] })
    const seen = async (type: string) => {
      const found = []
      for await (const { event } of bus.read({ filter: [{ types: [type] }] })) found.push(event)
      return found
    }
    await bus.publish({ type: 'a.came', data: { n: 1 } })
    await bus.publish({ type: 'b.came', data: { n: 1 }, replay: 'redrive/0' })
    await until(async () => (await seen('workflow.event')).length === 2)
    const [one, other] = await seen('workflow.event')
    expect(one!.correlationid).not.toBe(other!.correlationid)
    await bus.publish({ type: 'b.came', data: { n: 1 } })
    await until(async () => (await seen('both.came')).length === 1)
    expect((await seen('both.came'))[0]!.replay).toBeUndefined()
  }),
)
