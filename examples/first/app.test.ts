import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agent, app, by, event, on, webhook, workflow } from '../../src/index.ts'
import { callTool, failed, given, reply, result, testApp } from '../../src/testing/index.ts'
import { z } from 'zod'
import shop, { desk, helper } from './app.ts'

// The tests of docs/testing.md. They run with `node --test`, as in a project of a user.

test('the app answers', async () => {
  await using world = await testApp(shop, {
    model: [callTool('notes.search', { query: 'open' }), reply('On Sunday.')],
    tools: { 'notes.search': () => [{ id: 'note-0', text: 'Open on Sunday.' }] },
  })
  await world.publish('question.asked', { text: 'When?' })
  await world.expect('question.answered', { answer: 'On Sunday.' })
})

const placed = event('order.placed', z.object({ order: z.string() }))
const paid = event('order.paid', z.object({ order: z.string() }))
const order = workflow('order', { key: [by(placed, o => o.order), by(paid, p => p.order)], within: '90d' })
  .when('placed', on(placed).as('order'), { within: '1d' })
  .when('payment', on(paid), {
    within: '30d',
    otherwise: late => late.emit('order.expired', s => ({ order: s.order.order })).complete(() => 'expired'),
  })
  .complete(() => 'paid')

test('an unpaid order expires after a month', async () => {
  await using world = await testApp(app({ use: [order] }))
  await world.publish(placed, { order: 'A1' })
  await world.expect('order.expired', { order: 'A1' })
  assert.equal(world.now.toISOString(), '2026-01-31T00:00:00.000Z')
})

test('an order that is paid in time does not expire', async () => {
  await using world = await testApp(app({ use: [order] }))
  await world.publish(placed, { order: 'A1' })
  await world.advance('29d')
  await world.publish(paid, { order: 'A1' })
  await world.expect('agent.task.completed', { output: 'paid' })
  assert.deepEqual(await world.events('order.expired'), [])
})

test('the helper answers a caller', async () => {
  await using world = await testApp(shop, { model: ({ text }) => reply(`You asked: ${text}`) })
  const handle = await world.ask(helper, 'When?')
  assert.equal(await handle.result(), 'You asked: When?')
})

const invoicePaid = event('invoice.paid', z.object({ id: z.string(), data: z.object({ total: z.number() }) }))
const billing = agent('billing', { on: invoicePaid, run: (ctx, { data }) => `booked ${data.total}` })
const hooks = webhook({
  endpoints: { stripe: { scheme: 'stripe', secret: process.env.STRIPE_SECRET, publishes: [invoicePaid] } },
})

test('an invoice that is paid is booked', async () => {
  await using world = await testApp(app({ use: [billing, hooks] }))
  const response = await world.webhook('stripe', { body: { id: 'evt_1', type: 'invoice.paid', data: { total: 12 } } })
  assert.equal(response.status, 202)
  await world.expect('agent.task.completed', { output: 'booked 12' })
})

test('the desk asks the helper, then publishes the answer', async () => {
  const question = given(desk, { event: { type: 'question.asked', data: { text: 'When?' } } })
  await question.emits([{ type: 'agent.invoke', target: 'helper', data: { input: 'When?' } }])
  await question
    .when(result('helper', 'On Sunday.'))
    .emits([{ type: 'question.answered', data: { answer: 'On Sunday.' } }, { type: 'agent.task.completed' }])
})

test('the desk fails if the helper fails', async () => {
  await given(desk, { event: { type: 'question.asked', data: { text: 'When?' } } })
    .when(failed('helper', 'E_MODEL_OUTPUT'))
    .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_MODEL_OUTPUT' } } }])
})

test('the helper answers from the notes', async () => {
  const question = given(helper, { input: 'When?' })
  await question
    .when(callTool('notes.search', { query: 'open' }))
    .emits([{ type: 'tool.invoke', target: 'notes.search', data: { input: { query: 'open' } } }])
  await question
    .when(result('notes.search', [{ id: 'note-0', text: 'Open on Sunday.' }]), reply('On Sunday.'))
    .emits([{ type: 'agent.task.completed', data: { output: 'On Sunday.' } }])
})
