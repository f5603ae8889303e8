import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { absent, any, by, exists, not, on, workflow } from '../../src/index.ts'
import { parseEffects, resolveEffects } from '../../src/replay/effects.ts'
import { selectInputs, publishRedrive } from '../../src/replay/redrive.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { onAnyBus } from '../lib/world.ts'

const ship = tool('ship', {
  description: 'Ships an order.',
  input: z.any(),
  run: ({ order }: { order: string }) => `shipped ${order}`,
})

/** An order is placed under one correlation and paid under another one. */
const watch = workflow('watch', {
  key: [by('order.placed', e => e.order), by('order.paid', e => e.order)],
  within: '1h',
})
  .when('placed', on('order.placed').as('placed'), { within: '1h' })
  .when('payment', any(on('order.paid').as('payment'), absent(on('order.paid'), '50m')), { within: '1h' })
  .choose(
    s => not(exists(s.payment)),
    late => late.emit('payment.chased', s => ({ order: s.placed.order })),
  )
  .call('parcel', ship, s => ({ order: s.placed.order }), { within: '1m' })
  .complete(s => ({ order: s.placed.order, paid: s.payment.amount, parcel: s.parcel }))

const orders = ['a', 'b', 'c']

onAnyBus(world =>
  describe('a redrive of many correlations', () => {
    const completedIn = async ({ bus }: RunningApp, isMeant: (replay: string | undefined) => boolean) => {
      const found = []
      for await (const { event } of bus.read({ filter: [{ types: ['agent.task.completed'] }] }))
        if (isMeant(event.replay)) found.push(event)
      return found
    }
    const outputs = (events: { data?: unknown }[]) => {
      const all = events.map(({ data }) => (data as { output: { order: string } }).output)
      return all.toSorted((one, other) => (one.order < other.order ? -1 : 1))
    }

    it('is one redrive: events of one instance meet in one again, and each redrive has instances of its own', async () => {
      const worker = await (await world()).worker({ use: [watch, ship] })
      const { bus } = worker
      const before = Date.now()
      for (const order of orders) await bus.publish({ type: 'order.placed', data: { order } })
      for (const order of orders) await bus.publish({ type: 'order.paid', data: { order, amount: 7 } })
      const first = await until(async () => {
        const found = await completedIn(worker, replay => replay === undefined)
        return found.length === orders.length && found
      })

      const selection = { since: before }
      const inputs = await selectInputs(bus, selection)
      expect(inputs.map(({ type }) => type)).toEqual([
        ...orders.map(() => 'order.placed'),
        ...orders.map(() => 'order.paid'),
      ])
      const ruled = resolveEffects([], { effects: parseEffects('*=recorded'), stubs: new Map() })
      const marks = []
      for (let i = 0; i < 2; i++) {
        const { replay: mark, counterpart } = await publishRedrive(bus, selection, inputs, ruled)
        marks.push(mark)
        const again = await until(async () => {
          const found = await completedIn(worker, replay => replay === mark)
          return found.length === orders.length && found
        })
        expect(outputs(again)).toEqual(outputs(first))
        // An instance lies where the counterpart of the original instance is: also its tools answer what was recorded there.
        expect(again.map(({ correlationid }) => correlationid).toSorted()).toEqual(
          first.map(({ correlationid }) => counterpart(correlationid)).toSorted(),
        )
        const published = []
        for await (const { event } of bus.read({ filter: [{ types: ['order.*'] }] }))
          if (event.replay === mark) published.push(event)
        expect(published.map(({ causationid }) => causationid)).toEqual(inputs.map(({ id }) => id))
      }
      expect(new Set(marks).size).toBe(2)
    })

    it('of a redrive answers, also in an instance with a key, with what that redrive recorded', async () => {
      let shipped = 0
      const count = tool('count', { description: 'Counts.', input: z.any(), run: () => ++shipped })
      const solo = workflow('solo', { key: [by('solo.came', e => e.n)], within: '1h' })
        .when('came', on('solo.came').as('came'), { within: '1h' })
        .call('counted', count, s => ({ n: s.came.n }), { within: '1m' })
        .complete(s => s.counted)
      const worker = await (await world()).worker({ use: [solo, count] })
      const { correlationid } = await worker.bus.publish({ type: 'solo.came', data: { n: 1 } })
      const outputOf = async (mark: string | undefined) => {
        const [end] = await until(async () => {
          const found = await completedIn(worker, replay => replay === mark)
          return found.length > 0 && found
        })
        return (end!.data as { output: unknown }).output
      }
      const again = async (correlation: string, effects: string) => {
        const inputs = await selectInputs(worker.bus, { correlation })
        const ruled = resolveEffects([], { effects: parseEffects(effects), stubs: new Map() })
        const { replay: mark, counterpart } = await publishRedrive(worker.bus, { correlation }, inputs, ruled)
        return { output: await outputOf(mark), correlation: counterpart(correlation) }
      }
      expect(await outputOf(undefined)).toBe(1)
      const live = await again(correlationid, 'tool/count=live')
      expect(live.output).toBe(2)
      expect((await again(correlationid, '*=recorded')).output).toBe(1)
      expect((await again(live.correlation, '*=recorded')).output).toBe(2)
      expect(shipped).toBe(2)
    })
  }),
)
