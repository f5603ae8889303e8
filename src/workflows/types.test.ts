import { expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../agents/agent.ts'
import { event } from '../event.ts'
import { tool } from '../tools/tool.ts'
import { all, any, count, on, seq } from './patterns.ts'
import { above, is, text } from './refs.ts'
import { by } from './key.ts'
import { workflow, type Workflow } from './workflow.ts'

/*
 * What the compiler says of workflows: `tsc -b` reads this file, and an expected error that does not come is an error. The
 * functions are never called: several of them would be refused.
 */

const placed = event('order.placed', z.object({ order: z.string(), total: z.number() }))
const paid = event('order.paid', z.object({ order: z.string(), by: z.string().optional() }))
const price = tool('price', {
  description: '',
  input: z.object({ total: z.number() }),
  output: z.object({ right: z.boolean() }),
  run: () => ({ right: true }),
})
const count1 = agent<{ n: number }, number>('counter', { run: (_, { n }) => n })
const base = workflow('typed', { on: placed, within: '1h' })

type ScopeOf<W> = W extends Workflow<infer Scope, never, unknown> ? Scope : never

const wrong = {
  fields: () => {
    // @ts-expect-error the event has no such field
    base.emit('x', s => s.event.sum)
    // @ts-expect-error nothing was kept under this name
    base.emit('x', s => s.plan)
    // @ts-expect-error the answer has no such field
    base.call('price', price, s => ({ total: s.event.total })).emit('x', s => s.price.wrong)
    // @ts-expect-error the type has no such field
    by(placed, p => p.number)
    // @ts-expect-error the condition reads a field that is not there
    on(placed).where(p => is(p.number, 1))
    // @ts-expect-error mails have no such field
    workflow('m', { on: 'email.received', within: '1h' }).emit('x', s => s.event.topic)
    // @ts-expect-error an item has no such field
    base.each('list', () => [{ n: 1 }], count1, { input: item => ({ n: item.m }) })
  },
  inputs: () => {
    // @ts-expect-error a text is no number
    base.call('price', price, s => ({ total: s.event.order }))
    // @ts-expect-error the total is missing
    base.call('price', price, () => ({}))
    // @ts-expect-error the list is of other items than are asked for
    base.each('list', () => [{ m: 1 }], count1)
    // @ts-expect-error one of several inputs is of another type
    base.parallel('p', { price, n: count1 }, s => ({ price: { total: s.event.order }, n: { n: 1 } }))
    // @ts-expect-error one of several inputs is missing
    base.parallel('p', { price, n: count1 }, s => ({ price: { total: s.event.total } }))
    // @ts-expect-error a workflow that is begun by events is not called, nor beside others
    base.parallel('p', { price, base }, s => ({ price: { total: s.event.total }, base: 1 }))
    // @ts-expect-error the event is declared with a number
    base.emit(placed, s => ({ order: s.event.order, total: 'much' }))
    // @ts-expect-error what is undone takes something else
    base.call('n', count1, () => ({ n: 1 }), { undo: { target: price, input: s => ({ total: s.event.order }) } })
    // @ts-expect-error a workflow that is begun by events is not called
    base.call('x', base, s => s.event)
    // @ts-expect-error a moment is text or number
    base.waitUntil(() => true)
  },
  captures: () => {
    const both = base.when('both', all(on(paid).as('payment'), on('other')), { within: '1h' })
    // @ts-expect-error it is kept as payment
    both.emit('x', s => s.paid)
    // @ts-expect-error what a pattern gives is not there before it
    base.emit('x', s => s.payment)
    // @ts-expect-error a count gives a list
    base.when('two', count(2, on(paid).as('list')), { within: '1h' }).emit('x', s => s.list.by)
    // @ts-expect-error the error is there in an otherwise only
    both.emit('x', s => s.error.code)
  },
  bounds: () => {
    // @ts-expect-error a wait has a bound
    base.when('paid', on(paid))
    // @ts-expect-error also when there are other options
    base.when('paid', on(paid), { otherwise: b => b })
    // @ts-expect-error who is asked may be away
    base.approve('editor', s => s.event)
    // @ts-expect-error and so has an instance
    workflow('endless', { on: placed })
    // @ts-expect-error no duration
    base.wait('1 hour')
    // @ts-expect-error a loop has a bound
    base.repeat('again', b => b.wait('1m'), { until: s => is(s.event.total, 1) })
  },
  conditions: () => {
    // @ts-expect-error a condition is data, and no code
    base.choose(s => s.event.total > 3, b => b) // biome-ignore format: the error is in this line
    // @ts-expect-error true is decided already
    base.choose(() => true, b => b) // biome-ignore format: the error is in this line
    // @ts-expect-error there is no order of booleans
    base.choose(() => above(true, false), b => b) // biome-ignore format: the error is in this line
  },
}

it('each wrong field, input, name and bound is a compile error', () => {
  expect(Object.values(wrong).length).toBe(5)
})

it('captures, answers and outputs type what follows', () => {
  const flow = base
    .when('pay', seq(on(paid).as('payment'), count(2, on('sensor.read').as('reads'))), { within: '1h' })
    .when('one', any(on(placed).as('again'), on(paid).as('more')), { within: '1h' })
    .call('price', price, s => ({ total: s.event.total }))
    .each('list', () => [{ n: 1 }], count1)
    .each('settled', () => [1, 2], count1, { join: 'settled', input: n => ({ n }) })
    .parallel('facts', { right: price, sum: count1 }, s => ({ right: { total: s.event.total }, sum: { n: 1 } }))
    .choose(
      s => s.price.right,
      b => b.call('n', count1, () => ({ n: 1 })),
    )
  type Scope = ScopeOf<typeof flow>
  expectTypeOf<Scope['payment']>().toEqualTypeOf<{ order: string; by?: string | undefined }>()
  expectTypeOf<Scope['again']>().toEqualTypeOf<{ order: string; total: number } | undefined>()
  expectTypeOf<Scope['reads']>().toEqualTypeOf<any[]>()
  expectTypeOf<Scope['price']>().toEqualTypeOf<{ right: boolean }>()
  expectTypeOf<Scope['list']>().toEqualTypeOf<readonly number[]>()
  expectTypeOf<Scope['settled'][number]['output']>().toEqualTypeOf<number | undefined>()
  expectTypeOf<Scope['n']>().toEqualTypeOf<number | undefined>()
  expectTypeOf<Scope['right']>().toEqualTypeOf<{ right: boolean }>()
  expectTypeOf<Scope['sum']>().toEqualTypeOf<number>()

  const called = workflow('called', { input: z.object({ n: z.number() }), within: '1h' })
    .call('n', count1, s => ({ n: s.event.n }))
    .complete(s => ({ text: text`${s.n}`, n: s.n, fixed: [1, 'x'] as const }))
  const outer = base.call('inner', called, s => ({ n: s.event.total }))
  expectTypeOf<ScopeOf<typeof outer>['inner']['n']>().toEqualTypeOf<number>()
  expectTypeOf<ScopeOf<typeof outer>['inner']['text']>().toEqualTypeOf<string>()
  expect(outer.data.steps.map(({ id }) => id)).toEqual(['event', 'inner'])
})
