import { expect, it } from 'vitest'
import { all, by, on, workflow } from '../../src/index.ts'
import type { CloudEvent } from '../../src/event.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { onEveryBus } from '../lib/world.ts'

const pair = (name = 'pair') =>
  workflow(name, { key: [by('left.came', e => e.n), by('right.came', e => e.of.n)], within: '1h' })
    .when('both', all(on('left.came').as('left'), on('right.came').as('right')), { within: '1h' })
    .emit('pair.done', s => [s.left.n, s.right.of.n])

async function ofType({ bus }: RunningApp, type: string): Promise<CloudEvent[]> {
  const found = []
  for await (const { event } of bus.read({ filter: [{ types: [type] }] })) found.push(await bus.resolve(event))
  return found
}

const untilThere = (running: RunningApp, type: string, count = 1) =>
  until(async () => {
    const found = await ofType(running, type)
    return found.length >= count && found
  })

onEveryBus(world => {
  it('a key that has ended stays ended: what comes for it is late, once, however large it is', async () => {
    const running = await (await world()).worker({ use: [pair()] })
    const { bus } = running
    await bus.publish({ type: 'left.came', data: { n: 1 } })
    await bus.publish({ type: 'right.came', data: { of: { n: 1 }, text: 'x'.repeat(20_000) } })
    await untilThere(running, 'pair.done')
    const late = await bus.publish({ type: 'left.came', data: { n: 1, text: 'x'.repeat(20_000) } })
    await untilThere(running, 'workflow.late')
    // Delivered once more by a broker that forgot it, and once more of what the instance took.
    for (const copy of await ofType(running, 'workflow.event')) {
      const { type, source, target, subject, correlationid, causationid, data } = copy
      const again = { type, source, target, subject, correlationid, causationid, data } as never
      await bus.publish(again)
    }
    await bus.publish({ type: 'left.came', data: { n: 2 } })
    await bus.publish({ type: 'right.came', data: { of: { n: 2 } } })
    await untilThere(running, 'pair.done', 2)
    const found = await ofType(running, 'workflow.late')
    expect(found.map(({ subject, data }) => [subject, data])).toMatchObject([
      [late.id, { event: late.id, type: 'left.came', at: null }],
    ])
    expect((await ofType(running, 'pair.done')).map(({ data }) => data)).toEqual([[1, 1], [2, 2]]) // biome-ignore format: one line
  })

  it('an event that is late for two workflows is reported for each', async () => {
    const running = await (await world()).worker({ use: [pair('pair'), pair('other')] })
    const { bus } = running
    for (const [type, data] of [['left.came', { n: 1 }], ['right.came', { of: { n: 1 } }]] as const) await bus.publish({ type, data }) // biome-ignore format: one line
    await untilThere(running, 'pair.done', 2)
    const { id } = await bus.publish({ type: 'left.came', data: { n: 1 } })
    const found = await untilThere(running, 'workflow.late', 2)
    expect(found.map(({ subject }) => subject)).toEqual([id, id])
    expect(new Set(found.map(({ data }) => (data as { task: string }).task)).size).toBe(2)
  })

  it('a number and its text are two keys, any JSON is one, and without the field an event belongs nowhere', async () => {
    const running = await (await world()).worker({ use: [pair()] })
    const { bus } = running
    for (const n of [7, '7', { a: [1] }, null]) await bus.publish({ type: 'left.came', data: { n } })
    for (const data of [{ of: { n: '7' } }, { of: { n: { a: [1] } } }, { of: 7 }, null, 'x', { of: { n: 7 } }])
      await bus.publish({ type: 'right.came', data })
    const done = await untilThere(running, 'pair.done', 3)
    expect(done.map(({ data }) => JSON.stringify(data)).toSorted()).toEqual([
      '["7","7"]',
      '[7,7]',
      '[{"a":[1]},{"a":[1]}]',
    ])
    expect((await ofType(running, 'workflow.event')).length).toBe(6)
    for await (const _ of bus.driver.listDeferred()) throw new Error('nothing waits for a person')
  })
})
