import { readFileSync } from 'node:fs'
import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import {
  agent, all, any, app, approval, both, by, connect, either, event, exists, files, handover, is, model, not, offlineModel, on, redactor, schedule,
  smtp, start, tool, webhook, workflow, type ScriptContext,
} from './index.ts' // biome-ignore format: one list
import { callTool, given, reply, testApp } from './testing/index.ts'
import type { Callable } from './tasks/script-context.ts'
import type { WorkflowLike } from './workflows/scope.ts'

/*
 * Wrong programs that must not compile, each named by what is wrong with it. `tsc -b` reads this file, and an expected error that does
 * not come is an error. The functions are never called: many of them would be refused at run time too.
 */

const paid = event('order.paid', z.object({ order: z.string(), cents: z.number() }))
const refunded = event('order.refunded', z.object({ order: z.string(), why: z.enum(['late', 'broken']) }))
const coerced = event(
  'order.coerced',
  z.object({ at: z.string().transform(text => new Date(text)), n: z.number().default(1) }),
)
const quote = tool('quote', {
  description: '',
  input: z.object({ item: z.string(), count: z.number().default(1) }),
  output: z.object({ cents: z.number() }),
  run: ({ count }) => ({ cents: count }),
})
const clerk = agent('clerk', { on: paid, run: (_, { cents }) => cents })
const adder = agent('adder', { input: z.object({ n: z.number() }), run: (_, { n }) => n + 1 })
const helper = agent('helper', { model: offlineModel(), instructions: '', output: z.object({ open: z.boolean() }) })
const flow = workflow('flow', { input: z.object({ n: z.number() }), within: '1h' }).complete(s => ({
  twice: s.event.n,
}))
const ordered = workflow('ordered', { on: paid, within: '1h' })
/** A wait for a payment, and what happens without it. */
const waiting = <W extends WorkflowLike>(
  otherwise: Parameters<typeof ordered.when<{ payment: { order: string; cents: number } }, W>>[2]['otherwise'] & {},
) => ordered.when('paid', on(paid).as('payment'), { within: '1h', otherwise })
const twoEnds = workflow('twoEnds', { input: z.object({ n: z.number() }), within: '1h' })
  .choose(
    s => is(s.event.n, 1),
    b => b.complete(() => 'one' as const),
  )
  .complete(s => ({ twice: s.event.n }))
const editor = approval<string>('editor')
const shop = app({ use: [clerk, adder] })

/** Code of an agent. */
const code = (run: (ctx: ScriptContext) => unknown) => agent('code', { run })

// biome-ignore format: each error is in the line below its mark
const wrong: Readonly<Record<string, () => unknown>> = {
  // @ts-expect-error
  'an event type without a schema': () => event('order.lost'),
  // @ts-expect-error
  'an event type whose schema is a plain object': () => event('order.lost', { order: 'string' }),
  // @ts-expect-error
  'an event type whose name is a number': () => event(7, z.string()),

  // @ts-expect-error
  'a field that the event does not have': () => agent('a', { on: paid, run: (_, { sum }) => sum }),
  // @ts-expect-error
  'a field of the wrong type': () => agent('a', { on: paid, run: (_, { cents }) => cents.toUpperCase() }),
  // @ts-expect-error
  'a wrong annotation of the data': () => agent('a', { on: paid, run: (_, data: { order: number }) => data }),
  // @ts-expect-error
  'an annotation that demands more than the event has': () => agent('a', { on: paid, run: (_, data: { order: string; by: string }) => data }),
  // @ts-expect-error
  'a field of one of two events, unasked': () => agent('a', { on: [paid, refunded], run: (_, { cents }) => cents }),
  // @ts-expect-error
  'a field of another event than the one asked for': () => agent('a', { on: [paid, refunded], run: ({ event: e }) => e.type === 'order.paid' && e.data.why }),
  // @ts-expect-error
  'a type of event that does not start the agent': () => agent('a', { on: [paid, refunded], run: ({ event: e }) => e.type === 'order.lost' }),
  // @ts-expect-error
  'the input side where the output side arrives': () => agent('a', { on: coerced, run: (_, { at }) => at.charAt(0) }),
  // @ts-expect-error
  'a field of unchecked data': () => agent('a', { on: 'order.lost', run: (_, data) => data.order }),
  // @ts-expect-error
  'a pattern beside a type makes the data unknown': () => agent('a', { on: [paid, 'order.*'], run: (_, data) => data.order }),
  // @ts-expect-error
  'an event type that is a number': () => agent('a', { on: 7, run: () => 1 }),
  // @ts-expect-error
  'an input schema and another annotation': () => agent('a', { input: z.string(), run: (_, n: number) => n }),
  // @ts-expect-error
  'an input schema that is a type name': () => agent('a', { input: 'string', run: () => 1 }),
  // @ts-expect-error
  'an agent without code': () => agent('a', { on: paid }),
  // @ts-expect-error
  'a misspelt option of an agent': () => agent('a', { on: paid, maxTruns: 3, run: () => 1 }),
  // @ts-expect-error
  'a program without decide': () => agent('a', { init: () => 0, evolve: (n: number) => n }),
  // @ts-expect-error
  'a state that evolve changes to another type': () => agent<number>('a', { init: () => 0, evolve: () => 'x', decide: () => {} }),
  // @ts-expect-error
  'a model as its name': () => agent('a', { model: 'gpt-5', instructions: '' }),
  // @ts-expect-error
  'a model agent without instructions': () => agent('a', { model: offlineModel() }),
  // @ts-expect-error
  'an unknown rule of finish': () => agent('a', { model: offlineModel(), instructions: '', finish: { length: 'ignore' } }),
  // @ts-expect-error
  'a tool by its name': () => agent('a', { model: offlineModel(), instructions: '', tools: ['quote'] }),
  // @ts-expect-error
  'a hand-over to a tool': () => handover(quote),
  // @ts-expect-error
  'a hand-over to a workflow': () => handover(flow),
  // @ts-expect-error
  'a hand-over to a name without a description': () => handover({ name: 'desk' }),
  // @ts-expect-error
  'a hand-over to a text': () => handover('desk'),

  // @ts-expect-error
  'a call of a tool with a wrong input': () => code(ctx => ctx.call(quote, { item: 7 })),
  // @ts-expect-error
  'a call of a tool without its input': () => code(ctx => ctx.call(quote)),
  // @ts-expect-error
  'a call of a tool with a missing field': () => code(ctx => ctx.call(quote, {})),
  // @ts-expect-error
  'a field that the answer of a tool does not have': () => code(async ctx => (await ctx.call(quote, { item: 'x' })).euros),
  // @ts-expect-error
  'an answer that was not awaited': () => code(ctx => ctx.call(quote, { item: 'x' }).cents),
  // @ts-expect-error
  'a call of an agent with a wrong input': () => code(ctx => ctx.call(adder, { n: 'x' })),
  // @ts-expect-error
  'a call of an agent with the input of another event': () => code(ctx => ctx.call(clerk, { order: 'x', why: 'late' })),
  // @ts-expect-error
  'a call of a workflow with a wrong input': () => code(ctx => ctx.call(flow, { n: 'x' })),
  // @ts-expect-error
  'a call of a workflow that events start': () => code(ctx => ctx.call(workflow('w', { on: paid, within: '1h' }), { order: 'x' })),
  // @ts-expect-error
  'a call of an approver with a wrong subject': () => code(ctx => ctx.call(editor, 7)),
  // @ts-expect-error
  'a field that an approval does not have': () => code(async ctx => (await ctx.call(editor, 'x')).who),
  // @ts-expect-error
  'a field that the output of a model agent does not have': () => code(async ctx => (await ctx.call(helper, 'x')).closed),
  // @ts-expect-error
  'a call by name': () => code(ctx => ctx.call('quote', { item: 'x' })),
  // @ts-expect-error
  'a wait without a unit': () => code(ctx => ctx.call(quote, { item: 'x' }, { within: '10' })),
  // @ts-expect-error
  'a misspelt option of a call': () => code(ctx => ctx.call(quote, { item: 'x' }, { retries: { maxAttempts: 2 } })),
  // @ts-expect-error
  'a retry that is a number': () => code(ctx => ctx.call(quote, { item: 'x' }, { retry: 3 })),
  // @ts-expect-error
  'a class of errors in the policy of a call': () => code(ctx => ctx.call(quote, { item: 'x' }, { retry: { nonRetryable: [Error] } })),
  // @ts-expect-error
  'a sleep in words': () => code(ctx => ctx.sleep('an hour')),
  // @ts-expect-error
  'a step without code': () => code(ctx => ctx.step('charge')),
  // @ts-expect-error
  'a branch that is a promise': () => code(ctx => ctx.all([ctx.sleep('1s')])),

  // @ts-expect-error
  'emitted data with a missing field': () => code(ctx => ctx.emit(paid, { order: 'x' })),
  // @ts-expect-error
  'emitted data with a field of the wrong type': () => code(ctx => ctx.emit(paid, { order: 'x', cents: '7' })),
  // @ts-expect-error
  'emitted data with a field too many': () => code(ctx => ctx.emit(paid, { order: 'x', cents: 7, by: 'me' })),
  // @ts-expect-error
  'emitted data with a value outside of its enumeration': () => code(ctx => ctx.emit(refunded, { order: 'x', why: 'lost' })),
  // @ts-expect-error
  'emitted data of the output side': () => code(ctx => ctx.emit(coerced, { at: new Date() })),
  // @ts-expect-error
  'an emitted event without data': () => code(ctx => ctx.emit(paid)),
  // @ts-expect-error
  'an emitted event without a type': () => code(ctx => ctx.emit({ data: 1 })),
  // @ts-expect-error
  'a continuation with another input': () => agent('a', { input: z.object({ n: z.number() }), run: ctx => ctx.continueAs({ m: 1 }) }),
  // @ts-expect-error
  'a continuation with the data of no event of the agent': () => agent('a', { on: paid, run: ctx => ctx.continueAs({ order: 'x' }) }),

  // @ts-expect-error
  'a tool without a description': () => tool('t', { input: z.string(), run: () => 1 }),
  // @ts-expect-error
  'a tool without an input schema': () => tool('t', { description: '', run: () => 1 }),
  // @ts-expect-error
  'a field that the input of the tool does not have': () => tool('t', { description: '', input: z.object({ a: z.string() }), run: ({ b }) => b }),
  // @ts-expect-error
  'a result that does not match the output schema': () => tool('t', { description: '', input: z.null(), output: z.object({ n: z.number() }), run: () => ({ n: 'x' }) }),
  // @ts-expect-error
  'a retry of a tool with a misspelt limit': () => tool('t', { description: '', input: z.null(), retry: { attempts: 3 }, run: () => 1 }),
  // @ts-expect-error
  'an approval that is text': () => tool('t', { description: '', input: z.null(), approval: 'yes', run: () => 1 }),
  // @ts-expect-error
  'an approver who is a number': () => approval('editor', { approvers: [7] }),

  // @ts-expect-error
  'an app that uses a function': () => app({ use: [() => 1] }),
  // @ts-expect-error
  'an app without members': () => app({ name: 'x' }),
  // @ts-expect-error
  'a budget of something unknown': () => app({ use: [], budget: { euros: 3 } }),
  // @ts-expect-error
  'a retention without a unit': () => app({ use: [], retention: 'a week' }),
  // @ts-expect-error
  'a redaction that is a text': () => redactor('card'),
  // @ts-expect-error
  'an unknown role': () => start(shop, { only: ['agent'] }),
  // @ts-expect-error
  'a start without an app': () => start({ use: [] }),

  // @ts-expect-error
  'a workflow without a bound': () => workflow('w', { on: paid }),
  // @ts-expect-error
  'a field that the first event does not have': () => workflow('w', { on: paid, within: '1h' }).emit('x', s => s.event.sum),
  // @ts-expect-error
  'an emit step with wrong data': () => workflow('w', { on: paid, within: '1h' }).emit(refunded, s => ({ order: s.event.cents, why: 'late' })),
  // @ts-expect-error
  'an emit step with a missing field': () => workflow('w', { on: paid, within: '1h' }).emit(refunded, s => ({ order: s.event.order })),
  // @ts-expect-error
  'a step that calls a tool with a wrong input': () => workflow('w', { on: paid, within: '1h' }).call('q', quote, s => ({ item: s.event.cents })),
  // @ts-expect-error
  'a capture that was not made': () => workflow('w', { on: paid, within: '1h' }).when('b', all(on(refunded)), { within: '1h' }).emit('x', s => s.refund),
  // @ts-expect-error
  'a capture that is missing after a wait that goes on': () => waiting(late => late.emit('chased', s => s.event)).emit(paid, s => s.payment),
  // @ts-expect-error
  'a field of a capture that may be missing': () => waiting(late => late.emit('chased', s => s.event)).call('q', quote, s => ({ item: s.payment.order })),
  // @ts-expect-error
  'a capture where the wait is chased by another one': () => waiting(late => late.when('again', on(refunded), { within: '1d' })).emit(paid, s => s.payment),
  // @ts-expect-error
  'an answer that is missing after a call that goes on': () => ordered.call('q', quote, () => ({ item: 'x' }), { otherwise: b => b.wait('1h') }).emit(paid, s => ({ order: '', cents: s.q.cents })),
  // @ts-expect-error
  'answers that are missing after an each that goes on': () => ordered.each('qs', () => [{ n: 1 }], adder, { otherwise: b => b.wait('1h') }).call('n', adder, s => ({ n: s.qs.length })),
  // @ts-expect-error
  'answers that are missing after a parallel that goes on': () => ordered.parallel('p', { n: adder }, () => ({ n: { n: 1 } }), { otherwise: b => b.wait('1h') }).call('m', adder, s => ({ n: s.n })),
  // @ts-expect-error
  'an approval that is missing after a denial that goes on': () => ordered.approve('ok', s => s.event, { within: '1d', otherwise: b => b.wait('1h') }).emit(paid, s => ({ order: s.ok.by, cents: 1 })),
  // @ts-expect-error
  'an answer of one branch': () => ordered.choose(s => is(s.event.cents, 1), b => b.call('q', quote, () => ({ item: 'x' }))).emit(paid, s => ({ order: '', cents: s.q.cents })),
  // @ts-expect-error
  'a capture of one of several patterns': () => ordered.when('any', any(on(paid).as('payment'), on(refunded)), { within: '1h' }).emit(paid, s => s.payment),
  // @ts-expect-error
  'a capture in the branch where it is missing': () => waiting(late => late.wait('1h')).choose(s => exists(s.payment), b => b, b => b.emit(paid, s => s.payment)),
  // @ts-expect-error
  'a capture that exists if one of two tests holds': () => waiting(late => late.wait('1h')).choose(s => either(exists(s.payment), is(s.event.cents, 1)), b => b.emit(paid, s => s.payment)),
  // @ts-expect-error
  'a field that the data of a trigger may lack': () => workflow('w', { on: 'file.created', within: '1h' }).call('q', quote, s => ({ item: s.event.blob })),
  // @ts-expect-error
  'a step after the end': () => ordered.complete(s => s.event).emit('x', s => s.event),
  // @ts-expect-error
  'the output of one of two ends': () => code(async ctx => (await ctx.call(twoEnds, { n: 1 })).twice),
  // @ts-expect-error
  'a condition on a field that is not there': () => on(paid).where(data => is(data.sum, 1)),
  // @ts-expect-error
  'a key that the type does not have': () => by(paid, data => data.number),

  // @ts-expect-error
  'a price per token in one number': () => model(offlineModel(), { price: 3 }),
  // @ts-expect-error
  'a model that is text': () => model('gpt-5'),
  // @ts-expect-error
  'a schedule with data that is not of its type': () => schedule('s', { every: '1h', type: paid, data: { order: 'x' } }),
  // @ts-expect-error
  'a schedule with an interval in words': () => schedule('s', { every: 'hourly' }),
  // @ts-expect-error
  'a webhook that publishes a name': () => webhook({ endpoints: { e: { publishes: ['order.paid'] } } }),
  // @ts-expect-error
  'a webhook of an unknown scheme': () => webhook({ endpoints: { e: { scheme: 'paypal' } } }),
  // @ts-expect-error
  'files without a folder': () => files('inbox', { match: '*' }),
  // @ts-expect-error
  'a port of mail that is text': () => smtp({ port: '25' }),

  // @ts-expect-error
  'an ask with a wrong input': async () => (await start(shop)).ask(adder, { n: 'x' }),
  // @ts-expect-error
  'a result of an ask with a field too many': async () => (await (await connect()).ask(helper, 'x')).result().then(r => r.closed),
  // @ts-expect-error
  'an ask of a tool': async () => (await start(shop)).ask(quote, { item: 'x' }),
  // @ts-expect-error
  'a published event with a missing field': async () => (await start(shop)).publish(paid, { order: 'x' }),
  // @ts-expect-error
  'a scenario without a start': () => given(clerk),
  // @ts-expect-error
  'a scenario of a tool': () => given(quote, { input: 1 }),
  // @ts-expect-error
  'a model script that is a function of text': () => testApp(shop, { model: 'hello' }),
  // @ts-expect-error
  'a scripted answer that is a number': () => reply(7),
  // @ts-expect-error
  'a scripted call without an input': () => callTool('quote'),
}

test('each wrong program is an expected error of the compiler', () => {
  const source = readFileSync(import.meta.filename, 'utf8')
  const expected = source.match(/^ {2}\/\/ @ts-expect-error$/gm) ?? []
  expect(expected).toHaveLength(Object.keys(wrong).length)
  expect(expected.length).toBeGreaterThanOrEqual(60)
})

test('callers see the input side of a schema, and code its output side', () => {
  expectTypeOf(quote).toExtend<{ '~types'?: { output: { cents: number } } }>()
  agent('typed', {
    on: [paid, coerced],
    async run(ctx, data) {
      expectTypeOf(data).toEqualTypeOf<{ order: string; cents: number } | { at: Date; n: number }>()
      if (ctx.event.type === 'order.coerced') expectTypeOf(ctx.event.data).toEqualTypeOf<{ at: Date; n: number }>()
      ctx.emit(coerced, { at: '2026-11-30T00:00:00Z' })
      expectTypeOf(await ctx.call(quote, { item: 'tea' })).toEqualTypeOf<{ cents: number }>()
      expectTypeOf(await ctx.call(flow, { n: 1 })).toEqualTypeOf<{ twice: number }>()
      expectTypeOf(await ctx.call(clerk, { order: 'x', cents: 1 })).toEqualTypeOf<number>()
      expectTypeOf(await ctx.call(helper, 'x')).toEqualTypeOf<{ open: boolean }>()
    },
  })
})

test('a workflow knows which values an instance has at each place', () => {
  type Paid = { order: string; cents: number }
  const capture = on(paid).as('payment')
  ordered
    .when('paid', capture, { within: '1h' })
    .emit(paid, s => s.payment)
    .when('again', capture, { within: '1h', otherwise: late => late.fail(() => 'late') })
    .emit(paid, s => s.payment)
  const open = ordered.when('paid', capture, { within: '1h', otherwise: late => late.wait('1h') })
  // Each way out of the gap: a branch in which the value exists, and a branch without it that ends or stores it.
  open.choose(
    s => exists(s.payment),
    b => b.emit(paid, s => s.payment),
  )
  open
    .choose(
      s => not(exists(s.payment.order)),
      b => b.fail(() => 'unpaid'),
    )
    .emit(paid, s => s.payment)
  open
    .choose(
      s => both(exists(s.payment), is(s.event.cents, 1)),
      b => b,
      b => b.when('third', capture, { within: '1h' }),
    )
    .emit(paid, s => s.payment)
  const ends = open.choose(
    s => exists(s.payment),
    b => b.complete(s => s.payment),
    b => b.complete(() => null),
  )
  expectTypeOf<OutputType<typeof ends>>().toEqualTypeOf<Paid | null>()
  expectTypeOf<OutputType<typeof twoEnds>>().toEqualTypeOf<'one' | { twice: number }>()
  expectTypeOf<OutputType<typeof ordered>>().toEqualTypeOf<null>()
})

type OutputType<W> = W extends Callable<never, infer Output> ? Output : never
