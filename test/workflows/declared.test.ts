import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../src/event.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { by } from '../../src/workflows/key.ts'
import { all, on } from '../../src/workflows/patterns.ts'
import { is } from '../../src/workflows/refs.ts'
import { workflow } from '../../src/workflows/workflow.ts'
import { ended, eventsOf, onAnyBus } from '../lib/world.ts'

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

onAnyBus(world => {
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

  test.each([{ keyed: false }, { keyed: true }])(
    'an event from another app that does not match its type is dead-lettered, the instance waits on (keyed: $keyed)',
    async ({ keyed }) => {
      const log = await world()
      const flowOn = (cents: z.ZodType<number, number>) => {
        const [begun, ended] = ['order.begun', 'order.ended'].map(type =>
          event(type, z.object({ id: z.string(), cents })),
        )
        const key = keyed && { key: [by(begun!, e => e.id), by(ended!, e => e.id)] }
        return workflow('pair', { within: '1h', ...key })
          .when('begun', on(begun!).as('begun'), { within: '1h' })
          .when('ended', on(ended!).as('ended'), { within: '1h' })
          .complete(s => [s.begun.cents, s.ended.cents])
      }
      const first = await log.worker({ use: [flowOn(z.number().positive())] })
      const other = await log.worker({ name: 'other', use: [] })
      const correlationid = crypto.randomUUID()
      const publish = (type: string, cents: unknown) =>
        other.bus.publish({ type, correlationid, data: { id: 'o-1', cents } })
      const dead = (count: number) =>
        until(async () => {
          const found = await collect(other.bus.driver.listDeferred())
          return found.length === count && found
        })
      await publish('order.begun', 'much')
      await publish('order.ended', -2)
      const refused = (await dead(2))
        .map(({ state, reason }) => `${state} ${reason.code}: ${reason.message}`)
        .toSorted()
      expect(refused).toEqual([
        expect.stringMatching(/^dead E_EVENT_INVALID: the data of "order.begun" does not match its schema: cents: /),
        expect.stringMatching(/^dead E_EVENT_INVALID: the data of "order.ended" does not match its schema: cents: /),
      ])
      const endOf = () =>
        until(
          async () =>
            (await collect(other.bus.read({ filter: [{ types: ['agent.task.completed'] }] }))).map(
              ({ event: e }) => e.data,
            )[0],
        )
      // No instance has begun, and the correct event begins one.
      expect(await collect(other.bus.read({ filter: [{ types: ['task.turn'] }] }))).toEqual([])
      await publish('order.begun', 1)
      await until(async () => (await collect(other.bus.read({ filter: [{ types: ['task.turn'] }] }))).length === 1)
      await first.stop()
      // A version whose schema accepts it takes it when it is redelivered.
      await log.worker({ use: [flowOn(z.number())] })
      const late = (await dead(2)).find(({ reason }) => reason.message.includes('order.ended'))!
      await other.bus.driver.redeliver({ id: late.id })
      expect(await endOf()).toMatchObject({ output: [1, -2] })
    },
  )
})
