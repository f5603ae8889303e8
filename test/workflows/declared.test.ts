import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../src/event.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { all, on } from '../../src/workflows/patterns.ts'
import { is } from '../../src/workflows/refs.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { ended, eventsOf, onEveryBus } from '../lib/world.ts'

const placed = event('order.placed', z.object({ cents: z.number() }))
const paid = event('order.paid', z.object({ by: z.string() }))
const bookedAs = (cents: z.ZodNumber) => event('order.booked', z.object({ cents }))
const runs: string[] = []
const noting = (name: string) => tool(name, { description: '', input: z.null(), run: () => void runs.push(name) })
const [reserve, release] = [noting('reserve'), noting('release')]
const flowTo = (booked: ReturnType<typeof bookedAs>) =>
  workflow('order', { on: placed, within: '1h' })
    .call('reserved', reserve, () => null, { undo: { target: release, input: () => null } })
    .emit(booked, s => ({ cents: s.event.cents }))
    .complete(() => 'booked')

test('a workflow knows the event types that it was built with', () => {
  const booked = bookedAs(z.number())
  const flow = workflow('w', { on: placed, within: '1h' }).choose(
    s => is(s.event.cents, 1),
    b =>
      b.when(
        'x',
        all(
          on(paid)
            .where(data => is(data.by, 'me'))
            .as('payment'),
          on('other'),
        ),
        { within: '1h' },
      ),
    b => b.emit(booked, s => s.event).emit('other', () => null),
  )
  expect(flow.events).toEqual([placed, paid, booked])
})

onEveryBus(world => {
  test('an emitted event that does not match its type fails the instance, which undoes its steps, also after a take-over', async () => {
    const log = await world()
    runs.length = 0
    const first = await log.worker({ use: [flowTo(bookedAs(z.number().positive())), reserve] })
    await expect(first.bus.publish({ type: 'order.placed', data: {} })).rejects.toMatchObject({
      code: 'E_EVENT_INVALID',
    })
    const { correlationid, id } = await first.bus.publish({ type: 'order.placed', data: { cents: -1 } })
    await until(async () => (await eventsOf(first, correlationid)).some(({ target }) => target === 'release'))
    await first.stop()
    // The record decides: this schema would accept the data.
    const second = await log.worker({ use: [flowTo(bookedAs(z.number())), reserve, release] })
    const end = await ended(second, correlationid, id)
    expect(end).toMatchObject({
      type: 'agent.task.failed',
      data: {
        error: {
          code: 'E_EVENT_INVALID',
          message: expect.stringContaining('the data of "order.booked" did not match its schema'),
        },
      },
    })
    expect(runs).toEqual(['reserve', 'release'])
    expect((await eventsOf(second, correlationid)).filter(({ type }) => type === 'order.booked')).toEqual([])
  })
})
