import { expect, it } from 'vitest'
import { by, on, workflow } from '../../src/index.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { tidings } from '../lib/cli.ts'
import { Story } from '../lib/workflows.ts'
import { onAnyBus } from '../lib/world.ts'

/* Somebody publishes by hand what only the runtime is meant to: `workflow.event`. */

const left = 'left.came'
const flow = (key?: { key: ReturnType<typeof by>[] }) =>
  workflow('pair', { ...key, within: '1h' })
    .when('first', on(left).as('first'), { within: '1h' })
    .when('second', on('right.came').as('second'), { within: '1h' })
    .complete(s => [s.first, s.second])
const malformed = [null, 'x', {}, { event: null }, { event: { id: 'a' } }, { event: { type: left } }, { event: { id: 'a', type: 'other' } }] // biome-ignore format: one list

onAnyBus(world => {
  it('only a malformed one is deferred, with what to do; the instance continues', async () => {
    const log = await world()
    const running = await log.worker({ use: [flow()] })
    const { bus } = running
    const story = new Story(running, 'pair')
    const publish = async (subject?: string) => {
      for (const data of malformed)
        await bus.publish({
          type: 'workflow.event',
          target: 'pair',
          correlationid: story.correlation,
          data,
          ...(subject && { subject }),
        })
    }
    const dead = (count: number) =>
      until(async () => {
        const found = await collect(bus.driver.listDeferred())
        return found.length === count && found
      })
    await publish(left)
    for (const { state, reason } of await dead(malformed.length))
      expect([state, reason]).toEqual([
        'dead',
        expect.objectContaining({ code: 'E_EVENT_INVALID', next: expect.stringMatching(/^Publish the event under/) }),
      ])
    expect(await story.turnInputs()).toEqual([])
    await story.tell(left, 1)
    await publish()
    await publish(left)
    await story.tell('right.came', 2)
    expect(await story.end()).toEqual([1, 2])
    // What comes for it when it has ended is late, but for these.
    await publish(left)
    const found = await dead(4 * malformed.length)
    expect(await story.late()).toEqual([])
    const shown = await tidings(log.place, ['trace', story.correlation])
    expect(shown).toMatchObject({ code: 0, stderr: '' })
    for (const { id } of found) expect(await bus.driver.discard(id)).toBe(true)
  })

  it('a large one too, and where an instance has a key', async () => {
    const { bus } = await (await world()).worker({
      use: [flow({ key: [by(left, e => e.n), by('right.came', e => e.n)] })],
    })
    const text = 'x'.repeat(20_000)
    await bus.publish({ type: 'workflow.event', target: 'pair', subject: left, data: { text } })
    await until(async () => (await collect(bus.driver.listDeferred()))[0]?.reason.code === 'E_EVENT_INVALID')
    for (const type of [left, 'right.came']) await bus.publish({ type, data: { n: 1, text } })
    await until(async () => (await collect(bus.read({ filter: [{ types: ['agent.task.completed'] }] }))).length === 1)
  })
})
