import { expect, it, describe } from 'vitest'
import { z } from 'zod'
import { absent, agent, any, app, approval, by, event, exists, model, not, on, tool, workflow } from '../index.ts'
import { arrives, expires, failed, given, result } from './given.ts'
import { callTool, fail, reply, scriptedModel } from './scripted-model.ts'
import { testApp } from './test-app.ts'

const placed = event('order.placed', z.object({ order: z.string(), total: z.number() }))
const paid = event('order.paid', z.object({ order: z.string(), total: z.number() }))

const order = workflow('order', { key: [by(placed, o => o.order), by(paid, p => p.order)], within: '30d' })
  .when('placed', on(placed).as('order'), { within: '1d' })
  .when('payment', any(on(paid).as('payment'), absent(on(paid), '14d')), { within: '15d' })
  .choose(
    s => not(exists(s.payment)),
    late => late.emit('payment.chased', s => ({ order: s.order.order })),
  )
  .when('last', on(paid).as('last'), {
    within: '10d',
    otherwise: missing => missing.emit('order.expired', s => ({ order: s.order.order })),
  })
  .complete(s => s.order.total)

const shop = app({ name: 'shop', use: [order] })

describe('time', () => {
  it('passes when the test waits for something, and a month takes no time', async () => {
    await using world = await testApp(shop)
    await world.publish(placed, { order: 'A1', total: 12 })
    await world.expect('payment.chased', { order: 'A1' })
    expect(world.now.toISOString()).toBe('2026-01-15T00:00:00.000Z')
    const expired = await world.expect('order.expired')
    expect(expired.time).toBe('2026-01-25T00:00:00.000Z')
    expect(world.now.toISOString()).toBe(expired.time)
  })

  it('does not move while the app works, or while no test waits', async () => {
    await using world = await testApp(shop, { now: '2030-05-01T12:00:00Z' })
    await world.publish(placed, { order: 'A1', total: 12 })
    await world.idle()
    expect(await world.events('payment.*')).toEqual([])
    expect(world.now.toISOString()).toBe('2030-05-01T12:00:00.000Z')
    expect((await world.events('order.placed'))[0]!.time).toBe('2030-05-01T12:00:00.000Z')
    await world.advance('13d')
    expect(await world.events('payment.*')).toEqual([])
    await world.publish(paid, { order: 'A1', total: 12 })
    await world.expect('order.expired')
    expect(world.now.toISOString()).toBe('2030-05-24T12:00:00.000Z')
    expect(await world.events('payment.chased')).toEqual([])
  })

  it('moves no further than a wait allows', async () => {
    await using world = await testApp(shop)
    await world.publish(placed, { order: 'A1', total: 12 })
    await expect(world.expect('payment.chased', undefined, { within: '13d' })).rejects.toThrow(
      'the next timer is due at 2026-01-15 00:00:00.000, which is too far ahead',
    )
    expect(world.now.toISOString()).toBe('2026-01-01T00:00:00.000Z')
  })

  it('waits for what takes real time, before any timeout', async () => {
    const slow = tool('slow', {
      description: 'Takes a moment.',
      input: z.null(),
      run: () => new Promise(done => setTimeout(done, 30, 'done')),
    })
    const caller = agent('caller', { on: 'go', run: (ctx, input: null) => ctx.call(slow, input, { within: '1s' }) })
    await using world = await testApp(app({ use: [caller, slow] }))
    await world.publish('go', null)
    await world.expect('agent.task.completed', { output: 'done' })
    expect(world.now.toISOString()).toBe('2026-01-01T00:00:00.000Z')
  })

  it('ends what was asked at its deadline, and a workflow undoes its steps', async () => {
    const undone: unknown[] = []
    const book = tool('book', { description: 'Books.', input: z.object({ order: z.string() }), run: () => 'booked' })
    const unbook = tool('unbook', {
      description: 'Undoes.',
      input: z.object({ order: z.string() }),
      run: input => undone.push(input),
    })
    const trip = workflow('trip', { input: z.object({ order: z.string() }), within: '90d' })
      .call('booked', book, s => ({ order: s.event.order }), {
        undo: { target: unbook, input: s => ({ order: s.event.order }) },
      })
      .wait('30d')
      .complete(() => null)
    await using world = await testApp(app({ use: [book, unbook, trip] }))
    const handle = await world.ask(trip, { order: 'A1' }, { deadline: '10d' })
    await expect(handle.result()).rejects.toThrow('E_TASK_CANCELLED: its deadline passed')
    expect(world.now.toISOString()).toBe('2026-01-11T00:00:00.000Z')
    expect(undone).toEqual([{ order: 'A1' }])
  })

  it('lets a test go on before it passes', async () => {
    await using world = await testApp(shop)
    await world.publish(placed, { order: 'A1', total: 12 })
    const chased = world.expect('payment.chased')
    const expired = world.expect('order.expired')
    await chased
    expect(world.now.toISOString()).toBe('2026-01-15T00:00:00.000Z')
    await world.publish(paid, { order: 'A1', total: 12 })
    await expect(expired).rejects.toThrow('the app is idle')
    await world.expect('agent.task.completed', { output: 12 })
  })

  it('ends the delays between retries', async () => {
    let attempts = 0
    const charge = tool('card.charge', {
      description: 'Charges a card.',
      input: z.object({ total: z.number() }),
      retry: { maxAttempts: 4, backoff: '1h', maxBackoff: '4h', jitter: 0 },
      run: () => {
        if (++attempts < 4) throw new Error('the bank is closed')
        return { paid: true }
      },
    })
    const clerk = agent('clerk', {
      on: placed,
      run: async (ctx, { total }) => ctx.emit({ type: 'order.charged', data: await ctx.call(charge, { total }) }),
    })
    await using world = await testApp(app({ use: [clerk, charge] }))
    await world.publish(placed, { order: 'A1', total: 12 })
    await world.expect('order.charged', { paid: true })
    expect(world.now.toISOString()).toBe('2026-01-01T07:00:00.000Z')
  })
})

describe('waits for events', () => {
  const clerk = agent('clerk', {
    on: placed,
    waitsFor: [paid],
    run: async ctx => ((await ctx.waitFor(paid, { within: '30d' })) ? 'paid' : 'expired'),
  })

  it('end with an event of the correlation, or with their deadline', async () => {
    await using world = await testApp(app({ use: [clerk] }))
    const { correlationid } = await world.publish(placed, { order: 'A1', total: 12 })
    await world.advance('29d')
    await world.publish(paid, { order: 'A1', total: 12 }, { correlationid })
    await world.expect('agent.task.completed', { output: 'paid' })
    await world.publish(placed, { order: 'A2', total: 12 })
    await world.expect('agent.task.completed', { output: 'expired' })
    expect(world.now.toISOString()).toBe('2026-03-01T00:00:00.000Z')
  })

  it('are played in a scenario', async () => {
    const waiting = () => given(clerk, { event: { type: placed.type, data: { order: 'A1', total: 12 } } })
    await waiting()
      .when(arrives('order.paid', { order: 'A1', total: 12 }))
      .emits([{ type: 'agent.task.completed', data: { output: 'paid' } }])
    await waiting()
      .when(expires('order.paid'))
      .emits([{ type: 'agent.task.completed', data: { output: 'expired' } }])
  })
})

describe('steps', () => {
  const clerk = agent('clerk', {
    on: placed,
    async run(ctx, { total }) {
      const rate = await ctx.step<number>('fetch rate', () => Promise.reject(new Error('no network in tests')), {
        retry: { maxAttempts: 3, backoff: '2h', maxBackoff: '2h', jitter: 0 },
      })
      await ctx.sleep('1h')
      return { euros: total * rate }
    },
  })

  it('are replaced by name, and retried by the clock of the test', async () => {
    let attempts = 0
    const fetchRate = () => {
      if (++attempts < 2) throw new Error('busy')
      return 2
    }
    await using world = await testApp(app({ use: [clerk] }), { steps: { 'fetch rate': fetchRate } })
    await world.publish(placed, { order: 'A1', total: 12 })
    await world.expect('agent.task.completed', { output: { euros: 24 } })
    expect(world.now.toISOString()).toBe('2026-01-01T03:00:00.000Z')
  })

  it('are named if a stub replaced nothing and the real step ran', async () => {
    const world = await testApp(app({ use: [clerk] }), { steps: { 'fetch rates': () => 2 } })
    await world.publish(placed, { order: 'A1', total: 12 })
    await world.expect('agent.task.failed')
    await expect(world.stop()).rejects.toThrow(
      'no step "fetch rates" ran, so `steps` replaced nothing by it, and these steps ran as they are: "fetch rate"; did you mean "fetch rate"?',
    )
  })

  it('are answered by name in a scenario', async () => {
    const start = { event: { type: placed.type, data: { order: 'A1', total: 12 } } }
    await given(clerk, start)
      .when(result('fetch rate', 2), expires('timer'))
      .emits([{ type: 'agent.task.completed', data: { output: { euros: 24 } } }])
    await given(clerk, start)
      .when(failed('fetch rate', 'E_TOOL_THREW'))
      .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_TOOL_THREW' } } }])
  })
})

const search = tool('notes.search', {
  description: 'Searches the notes.',
  input: z.object({ query: z.string() }),
  run: () => [{ text: 'from the real notes' }],
})
const real = scriptedModel('never', () => {
  throw new Error('a test asked a real model')
})
const helper = agent('helper', { model: model(real, { name: 'm' }), instructions: 'Answer.', tools: [search] })
const desk = app({ use: [helper, search] })

describe('a scripted model', () => {
  it('answers in order, and tools are replaced by name', async () => {
    await using world = await testApp(desk, {
      model: [callTool('notes.search', { query: 'open' }), reply('On Sunday.')],
      tools: { 'notes.search': ({ query }: { query: string }) => [{ text: `about ${query}` }] },
    })
    const handle = await world.ask(helper, 'When?')
    expect(await handle.result()).toBe('On Sunday.')
    expect((await world.expect('tool.result')).data).toMatchObject({ output: [{ text: 'about open' }] })
  })

  it('answers by what it is asked', async () => {
    await using world = await testApp(desk, {
      model: ({ text, instructions, tools }) => reply(`${instructions} ${text} ${tools.join()}`),
    })
    const answers = await Promise.all(['One?', 'Two?'].map(async text => (await world.ask(helper, text)).result()))
    expect(answers).toEqual(['Answer. One? notes_search', 'Answer. Two? notes_search'])
  })

  it('fails, permanently or until it is retried', async () => {
    await using world = await testApp(desk, {
      model: [fail('E_MODEL_FAILED', 'busy', { retryable: true }), reply('Now.'), fail('E_MODEL_FAILED', 'no')],
    })
    expect(await (await world.ask(helper, 'When?')).result()).toBe('Now.')
    await expect((await world.ask(helper, 'When?')).result()).rejects.toThrow('E_MODEL_FAILED: no')
    await expect((await world.ask(helper, 'And now?')).result()).rejects.toThrow(
      `the script has 3 steps, and the model "m" is asked once more: 'And now?'. Add a step`,
    )
  })

  it('is needed: no real model is asked', async () => {
    await using world = await testApp(desk)
    await expect((await world.ask(helper, 'When?')).result()).rejects.toThrow('testApp() calls no real model')
  })
})

describe('people', () => {
  const editor = approval<{ text: string }>('editor', { approvers: ['ann'] })
  const press = agent('press', {
    on: 'text.written',
    async run(ctx, draft: { text: string }) {
      const { approved, by: name, comment } = await ctx.call(editor, draft, { within: '2d' })
      ctx.emit({ type: approved ? 'text.printed' : 'text.rejected', data: { name, comment: comment ?? '' } })
    },
  })
  const wipe = tool('disk.wipe', {
    description: 'Wipes a disk.',
    input: z.object({ disk: z.string() }),
    approval: true,
    run: ({ disk }) => disk,
  })
  const admin = agent('admin', { run: (ctx, disk: string) => ctx.call(wipe, { disk }) })
  const paper = app({ use: [press, admin, wipe] })

  it('answer requests for approval, in the name of an approver', async () => {
    await using world = await testApp(paper)
    await world.publish('text.written', { text: 'a' })
    await world.approve('editor')
    await world.expect('text.printed', { name: 'ann' })
    await world.publish('text.written', { text: 'b' })
    await world.deny('editor', { comment: 'too short' })
    await world.expect('text.rejected', { comment: 'too short' })
    expect(world.now.toISOString()).toBe('2026-01-01T00:00:00.000Z')
    await world.publish('text.written', { text: 'c' })
    await expect(world.approve('editor', { by: 'bob' })).rejects.toMatchObject({ code: 'E_APPROVAL_FORBIDDEN' })
    await world.expect('agent.task.failed')
    expect(world.now.toISOString()).toBe('2026-01-03T00:00:00.000Z')
  })

  it('approve the call of a tool', async () => {
    await using world = await testApp(paper)
    const handle = await world.ask(admin, 'sda')
    await world.approve('disk.wipe', { by: 'bob' })
    expect(await handle.result()).toBe('sda')
  })
})

describe('what did not come', () => {
  it('is reported with what happened instead', async () => {
    const clerk = agent('clerk', {
      on: placed,
      run(_, { total }) {
        if (total > 10) throw new Error('too much')
      },
    })
    await using world = await testApp(app({ use: [clerk] }))
    await world.publish(placed, { order: 'A1', total: 12 })
    const error = await world.expect(paid, { total: 12 }).then(
      () => '',
      thrown => (thrown as Error).message,
    )
    expect(error).toMatch(
      /^an event order\.paid with { total: 12 } did not come: the app is idle, and no timer is set\n/,
    )
    expect(error).toContain('2026-01-01 00:00:00.000  order.placed  {"order":"A1","total":12}')
    expect(error).toMatch(/agent\.task\.failed  .*too much/)
  })

  it('is awaited for a bounded time, and the report is short', async () => {
    const ticker = agent('ticker', {
      on: 'go',
      async run(ctx) {
        for (let n = 0; n < 100; n++) await ctx.sleep('1d')
      },
    })
    await using world = await testApp(app({ use: [ticker] }))
    await world.publish('go', null)
    await expect(world.expect('gone', undefined, { within: '90d' })).rejects.toThrow(
      /between 2026-01-01 .* and 2026-04-01 .* too far ahead\nWhat happened:\n {2}… 132 earlier events\n(.*\n){49}.* timer\.fired /,
    )
  })

  it('is not awaited behind a tool that hangs', async () => {
    const hanging = tool('slow', { description: 'Hangs.', input: z.null(), run: () => new Promise(() => {}) })
    const caller = agent('caller', { on: 'go', run: ctx => ctx.call(hanging, null) })
    const world = await testApp(app({ use: [caller, hanging] }), { stallTimeoutMs: 50 })
    await world.publish('go', null)
    await expect(world.expect('gone')).rejects.toThrow('the app is not idle: tool/slow has been running for 50 ms')
  })

  it('is not awaited if nothing hosts what the app calls', async () => {
    const lost = tool('notes.serch', { description: 'Not in the app.', input: z.null(), run: () => null })
    const caller = agent('caller', { on: 'go', run: ctx => ctx.call(lost, null, { within: '30d' }) })
    await using world = await testApp(app({ use: [caller, search] }))
    await world.publish('go', null)
    await expect(world.expect('agent.task.completed')).rejects.toThrow(
      '"caller" calls the tool "notes.serch", which the app does not host; did you mean "notes.search"?',
    )
    expect(world.now.toISOString()).toBe('2026-01-01T00:00:00.000Z')
  })

  it('names a stub that replaces nothing', async () => {
    await expect(testApp(desk, { tools: { 'note.search': () => [] } })).rejects.toThrow(
      'has no tool "note.search", so `tools` cannot replace it; did you mean "notes.search"?',
    )
  })
})
