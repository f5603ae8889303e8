import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event } from '../event.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { given, type Start } from '../testing/given.ts'
import { reply } from '../testing/scripted-model.ts'
import { agent, type Agent } from './agent.ts'

const paid = event(
  'order.paid',
  z.object({ order: z.string(), cents: z.coerce.number(), note: z.string().default('-') }),
)
const refunded = event('order.refunded', z.object({ order: z.string(), why: z.string() }))

const runs: unknown[] = []
const clerk = agent('clerk', { on: paid, run: (ctx, data) => void runs.push(data, ctx.event.data) })
const ledger = agent('ledger', {
  on: [paid, refunded],
  run({ event: { type, data } }, entry) {
    return type === 'order.refunded' ? `${data.order}: ${data.why}` : [type, entry.order]
  },
})

async function ending(of: Agent<never, unknown>, start: Start) {
  const [end] = await given(of, start).emitted()
  return end!.data as { output?: unknown; error?: { code: string; message: string; next: string } }
}
const order = { type: 'order.paid', data: { order: 'o-1', cents: '12' } }

describe('an agent that starts on a declared event type', () => {
  it('gets what the schema makes of the data, also as the data of its event', async () => {
    runs.length = 0
    await ending(clerk, { event: order })
    const parsed = { order: 'o-1', cents: 12, note: '-' }
    // The replay of given() runs it once more.
    expect(runs).toEqual([parsed, parsed, parsed, parsed])
  })

  it('fails without running any code if the data does not match, with the type and the path', async () => {
    runs.length = 0
    const { error } = await ending(clerk, { event: { ...order, data: { order: 'o-1', cents: 'much' } } })
    expect(error).toMatchObject({
      code: 'E_EVENT_INVALID',
      message: expect.stringMatching(/^the data of "order\.paid" does not match its schema: cents: /),
      next: expect.stringContaining('event("order.paid")'),
    })
    expect(runs).toEqual([])
  })

  it('tells several types apart by the type of its event', async () => {
    expect(await ending(ledger, { event: order })).toMatchObject({ output: ['order.paid', 'o-1'] })
    const refund = { type: 'order.refunded', data: { order: 'o-1', why: 'broken' } }
    expect(await ending(ledger, { event: refund })).toMatchObject({ output: 'o-1: broken' })
  })

  it('checks a call by name with the schemas of its events', async () => {
    expect(await ending(clerk, { input: order.data })).not.toHaveProperty('error')
    expect(await ending(clerk, { input: { order: 7, cents: 1 } })).toMatchObject({
      error: { code: 'E_AGENT_INPUT', message: expect.stringMatching(/^the input of agent "clerk" .*: order: /) },
    })
    expect(await ending(ledger, { input: { order: 'o-1', why: 'x' } })).toMatchObject({
      output: ['agent.invoke', 'o-1'],
    })
    expect(await ending(ledger, { input: {} })).toMatchObject({
      error: {
        code: 'E_AGENT_INPUT',
        message: expect.stringMatching(/order\.paid: order: .*; or order\.refunded: order: /),
      },
    })
  })

  it('takes any data of a type that is only named, beside the declared ones', async () => {
    const both = agent('both', { on: [paid, 'order.*'], run: (_, data) => data })
    expect(await ending(both, { event: { type: 'order.lost', data: 7 } })).toMatchObject({ output: 7 })
    expect(await ending(both, { input: 7 })).toMatchObject({ output: 7 })
    expect(await ending(both, { event: { ...order, data: 7 } })).toMatchObject({ error: { code: 'E_EVENT_INVALID' } })
  })
})

describe('an agent with an input schema', () => {
  const adder = agent('adder', {
    input: z.object({ n: z.coerce.number() }),
    run: (ctx, { n }) => (n < 3 ? ctx.continueAs({ n: n + 1 }) : n),
  })

  it('gets the output side, and callers pass the input side', async () => {
    expect(await ending(adder, { input: { n: '7' } })).toMatchObject({ output: 7 })
    expect(await ending(adder, { input: { n: 'x' } })).toMatchObject({ error: { code: 'E_AGENT_INPUT' } })
  })

  it('also continues with a checked input', async () => {
    const [next] = await given(adder, { input: { n: 1 } }).emitted()
    expect(next).toMatchObject({ type: 'agent.invoke', data: { input: { n: 2 } } })
    const wrong = agent('wrong', {
      input: z.object({ n: z.number() }),
      run: ctx => ctx.continueAs({ n: 'x' } as never),
    })
    expect(await ending(wrong, { input: { n: 1 } })).toMatchObject({ error: { code: 'E_AGENT_INPUT' } })
  })

  it('is checked before the events of `on`', async () => {
    const either = agent('either', { on: paid, input: z.string(), run: (_, data) => data })
    expect(await ending(either, { input: 'x' })).toMatchObject({ output: 'x' })
    expect(await ending(either, { input: order.data })).toMatchObject({ error: { code: 'E_AGENT_INPUT' } })
    expect(await ending(either, { event: order })).toMatchObject({ output: { cents: 12 } })
  })

  it('also as a model agent, and as three functions', async () => {
    const writer = agent('writer', { model: offlineModel(), instructions: '', input: z.string(), on: paid })
    expect(await ending(writer, { input: 7 })).toMatchObject({ error: { code: 'E_AGENT_INPUT' } })
    expect(await ending(writer, { event: { ...order, data: 7 } })).toMatchObject({ error: { code: 'E_EVENT_INVALID' } })
    await given(writer, { input: 'x' })
      .when(reply('y'))
      .emits([{ type: 'agent.task.completed', data: { output: 'y' } }])
    const bare = agent<number>('bare', {
      on: paid,
      init: () => 0,
      evolve: n => n + 1,
      decide: (n, _, ctx) => ctx.complete(n),
    })
    expect(await ending(bare, { event: order })).toMatchObject({ output: 1 })
    expect(await ending(bare, { event: { ...order, data: 7 } })).toMatchObject({ error: { code: 'E_EVENT_INVALID' } })
  })
})

describe('ctx.emit', () => {
  it('publishes the data of a declared type as given', async () => {
    const emitting = agent('emitting', { run: ctx => ctx.emit(paid, { order: 'o-1', cents: '12' }) })
    await given(emitting, { input: null }).emits([{ ...order, data: order.data }, { type: 'agent.task.completed' }])
  })

  it('throws at the moment of the call if it does not match, and nothing is emitted', async () => {
    const wrong = agent('wrong', {
      run(ctx) {
        try {
          ctx.emit(paid, { order: 7, cents: 1 } as never)
          return 'emitted'
        } catch (error) {
          return String(error)
        }
      },
    })
    const { output } = await ending(wrong, { input: null })
    expect(output).toMatch(/the data of "order\.paid" does not match its schema: order: /)
  })
})

describe('the retry policy of a call', () => {
  const book = { kind: 'tool', name: 'book' } as const
  const calling = (target: never, retry: object) =>
    agent('calling', { run: ctx => ctx.call(target, null as never, { retry }) })

  it('travels in the data of the request', () =>
    given(calling(book as never, { maxAttempts: 3 }), { input: null }).emits([
      { type: 'tool.invoke', target: 'book', data: { input: null, retry: { maxAttempts: 3 } } },
    ]))

  it('is refused where it cannot hold', async () => {
    const once = { ...book, options: { atMostOnce: true } }
    for (const [target, retry, message] of [
      [book, { maxAttempts: 0 }, /"retry" of the call of "book": in the option|maxAttempts/],
      [book, { nonRetryable: [Error] }, /names, codes or statuses/],
      [once, { maxAttempts: 3 }, /never starts twice/],
      [{ kind: 'agent', name: 'other' }, { maxAttempts: 3 }, /a call of this agent is not retried/],
    ] as const)
      expect(await ending(calling(target as never, retry), { input: null })).toMatchObject({
        error: { code: 'E_APP_INVALID', message: expect.stringMatching(message) },
      })
  })
})
