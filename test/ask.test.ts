import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { event, type CloudEvent } from '../src/event.ts'
import { approval } from '../src/tasks/approval.ts'
import { model } from '../src/models/model.ts'
import { connect } from '../src/runtime/connect.ts'
import { until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { plainModel } from './lib/plain-model.ts'
import { launch, tidings } from './lib/cli.ts'
import { eventsOf, onEveryBus, typesOf, type World } from './lib/world.ts'

const double = agent('double', { run: (_, input: number) => input * 2 })
const broken = agent('broken', {
  run() {
    throw new Error('no luck')
  },
})

/** An agent that runs until the gate opens. */
function gated() {
  const { promise, resolve } = Promise.withResolvers<string>()
  const gate = tool('gate', { description: 'Waits.', input: z.object({}), run: () => promise })
  let runs = 0
  const slow = agent('slow', {
    run: async ctx => {
      const answer = await ctx.call(gate, {})
      runs++
      return answer
    },
  })
  return { use: [gate, slow], slow, open: resolve, runs: () => runs }
}

const connected = ({ place }: World) => connect(place.bus, { home: place.home })

onEveryBus(world => {
  it('gives the result of an agent to each caller', async () => {
    const worker = await (await world()).worker({ use: [double] })
    const handles = await Promise.all([1, 2, 3].map(n => worker.ask(double, n)))
    expect(await Promise.all(handles.map(handle => handle.result({ within: '10s' })))).toEqual([2, 4, 6])
    expect(new Set(handles.map(({ id }) => id)).size).toBe(3)
  })

  it('rejects with the failure of the task, and with the cancellation', async () => {
    const { use, slow } = gated()
    const worker = await (await world()).worker({ use: [broken, ...use] })
    const failed = await worker.ask(broken, null)
    await expect(failed.result({ within: '10s' })).rejects.toMatchObject({ code: 'E_PROGRAM_FAILED' })
    const cancelled = await worker.ask(slow, null)
    await cancelled.cancel('changed my mind')
    await expect(cancelled.result({ within: '10s' })).rejects.toThrow('E_TASK_CANCELLED: changed my mind')
  })

  it('reports that a task has not ended, and gives the result later, to another process too', async () => {
    const { use, slow, open } = gated()
    const created = await world()
    const worker = await created.worker({ use })
    const handle = await worker.ask(slow, null)
    await expect(handle.result({ within: 1 })).rejects.toMatchObject({ code: 'E_RESULT_PENDING' })
    const other = await connected(created)
    const elsewhere = other.handle(handle.id).result({ within: '10s' })
    open('at last')
    expect(await Promise.all([handle.result(), elsewhere])).toEqual(['at last', 'at last'])
    await other.close()
    const third = await connected(created)
    {
      await using opened = third
      expect(await opened.handle(handle.id, slow).result()).toBe('at last')
      await expect(opened.handle(handle.id, double).result()).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    }
    await expect(third.ask(slow, null)).rejects.toMatchObject({ code: 'E_BUS_CLOSED' })
  })

  it('cancels a task at its deadline, also one that has not begun, and gives it no message after its end', async () => {
    const { use, slow } = gated()
    const created = await world()
    const worker = await created.worker({ use })
    const handle = await worker.ask(slow, null, { deadline: 300 })
    await expect(handle.result({ within: '10s' })).rejects.toThrow('E_TASK_CANCELLED: its deadline passed')
    await expect(handle.say('too late')).rejects.toMatchObject({ code: 'E_TASK_ENDED' })
    expect(typesOf(await eventsOf(worker, handle.correlation))).toContain('call.cancelled')
    await created.stop()
    const outside = await connected(created)
    const unbegun = await outside.ask(slow, null, { deadline: 1 })
    await created.worker({ use })
    const notBegun = 'E_TASK_CANCELLED: its deadline passed before it started'
    await expect(unbegun.result({ within: '20s' })).rejects.toThrow(notBegun)
    await outside.close()
  })

  it('asks once for each idempotency key', async () => {
    const { use, slow, open, runs } = gated()
    const worker = await (await world()).worker({ use })
    const asked = () => worker.ask(slow, null, { idempotencyKey: 'refund A-17' })
    const [one, two] = await Promise.all([asked(), asked()])
    open('done')
    expect(await Promise.all([one.result(), two.result()])).toEqual(['done', 'done'])
    const third = await asked()
    expect(third.id).toBe(one.id)
    expect(await third.result({ within: '10s' })).toBe('done')
    expect(runs()).toBe(1)
    const ofOther = await worker.ask(slow, 'another input', { idempotencyKey: 'refund A-17', user: 'ann' })
    expect(ofOther.id).not.toBe(one.id)
    const other = worker.ask(slow, 'another input', { idempotencyKey: 'refund A-17' })
    await expect(other).rejects.toMatchObject({ code: 'E_KEY_REUSED' })
    const sooner = worker.ask(slow, null, { idempotencyKey: 'refund A-17', deadline: '1h' })
    await expect(sooner).rejects.toMatchObject({ code: 'E_KEY_REUSED' })
  })

  it('refuses an unknown target and an unknown id', async () => {
    const worker = await (await world()).worker({ use: [double] })
    await expect(worker.ask('dubble', 1)).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    const malformed = worker.handle('17')
    for (const refused of ['result', 'say', 'cancel', 'state'] as const)
      await expect(malformed[refused]('?')).rejects.toThrow('"17" is not the id of a task')
    const missing = '0199a5ff-0000-7000-8000-000000000000.0123456789'
    await expect(worker.handle(missing).result()).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    await expect(worker.ask(double, 1, { deadline: 'soon' as '1s' })).rejects.toThrow(
      'ask(): the option "deadline" must be a duration such as "30s", "10m" or "2d", not "soon"',
    )
    await expect(worker.ask({ kind: 'tool', name: 'x' } as never, 1)).rejects.toMatchObject({
      code: 'E_REQUEST_INVALID',
    })
  })

  it('streams text, calls, progress and events of the app, and then the result', async () => {
    const worker = await (await world()).worker(researching())
    const handle = await worker.ask('desk', 'why')
    const parts = await Array.fromAsync(handle.stream())
    const short = parts.map(part => {
      if (part.type === 'event') return part.event.type
      const { call: _, ...rest } = part
      return rest
    })
    const text = parts.flatMap(part => (part.type === 'text' ? [part.text] : [])).join('')
    expect(text).toBe('Because of about why.')
    const called = { agent: 'researcher', name: 'web.search', toolCallId: 'c1' }
    expect(short.filter(part => typeof part === 'string' || part.type !== 'text')).toMatchObject([
      { type: 'call', agent: 'desk', name: 'researcher', input: 'why' },
      { type: 'tool-input', agent: 'researcher', toolCallId: 'c1', toolName: 'web_search', text: '{"q":"why"}' },
      { type: 'finish', agent: 'researcher' },
      { type: 'call', ...called, input: { q: 'why' } },
      { type: 'progress', agent: 'researcher', name: 'web.search', data: { percent: 50 } },
      { type: 'answer', ...called, output: 'about why' },
      { type: 'finish', agent: 'researcher', answer: { text: 'Because of about why.' } },
      { type: 'answer', agent: 'desk', name: 'researcher', output: 'Because of about why.' },
      'question.answered',
    ])
    expect(await handle.result()).toBe('Because of about why.')
  })

  it('streams as server-sent events, to a client that comes again, until the client goes away', async () => {
    const { use, slow, open } = gated()
    const worker = await (await world()).worker({ use: [broken, ...use] })
    const handle = await worker.ask(slow, null)
    const response = await handle.response()
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe(`event: task\ndata: "${handle.id}"\n\n`)
    expect((await reader.read()).value).toMatch(/^event: call\ndata: \{"type":"call",.*\}\n\n$/)
    const waiting = reader.read()
    await reader.cancel()
    expect(await waiting).toMatchObject({ done: true })
    const again = worker.handle(handle.id, slow).response()
    open('done')
    expect((await (await again).text()).split('\n\n').map(frame => frame.split('\n')[0])).toEqual([
      'event: task',
      'event: call',
      'event: answer',
      'event: result',
      '',
    ])
    const failed = await (await (await worker.ask(broken, null)).response()).text()
    expect(failed).toMatch(/event: failed\ndata: \{"code":"E_PROGRAM_FAILED","message":"no luck".*\}\n\n$/)
    expect((await worker.handle('17').response()).status).toBe(400)
    expect((await worker.handle(handle.id, broken).response()).status).toBe(404)
  })

  it('lists requests for approval, and answers them as the approvers of each may', async () => {
    const editor = approval<string>('editor', { approvers: ['ann'] })
    const press = agent('press', { run: async (ctx, draft: string) => (await ctx.call(editor, draft)).approved })
    const created = await world()
    const worker = await created.worker({ use: [press] })
    const outside = await connected(created)
    const handles = [await worker.ask(press, 'one'), await worker.ask(press, 'two')]
    const [one, two] = await Promise.all(
      handles.map(async handle => {
        for await (const part of handle.stream()) if (part.type === 'approval') return part
        throw new Error('nobody was asked')
      }),
    )
    expect(one).toMatchObject({ name: 'editor', what: { input: 'one' }, approvers: ['ann'], until: expect.any(String) })
    expect(await outside.approvals({ by: 'bob' })).toEqual([])
    expect((await outside.approvals()).map(({ id, hash }) => [id, hash])).toEqual([
      [one!.call, one!.hash],
      [two!.call, two!.hash],
    ])
    const refused = async (id: string, answer: { by: string; hash: string }) =>
      outside.approve(id, answer).catch(error => error.code)
    expect(await refused(one!.call, { by: 'bob', hash: one!.hash })).toBe('E_APPROVAL_FORBIDDEN')
    expect(await refused(one!.call, { by: 'ann', hash: two!.hash })).toBe('E_APPROVAL_CHANGED')
    expect(await refused(one!.call, { by: 'ann' } as never)).toBe('E_REQUEST_INVALID')
    await outside.approve(one!.call, { by: 'ann', hash: one!.hash, comment: 'Fine.' })
    expect(await refused(one!.call, { by: 'ann', hash: one!.hash })).toBe('E_APPROVAL_ANSWERED')
    await worker.deny(two!.call, { by: 'ann', hash: two!.hash })
    expect(await Promise.all(handles.map(handle => handle.result({ within: '20s' })))).toEqual([true, false])
    expect(await worker.approvals()).toEqual([])
    await outside.close()
  })

  it('shows an object while the model writes it', async () => {
    const said = '{"title":"Tides","lines":["one","two"]}'
    const { model: languageModel } = plainModel(() => said)
    const output = z.object({ title: z.string(), lines: z.array(z.string()) })
    const writer = agent('writer', { model: model(languageModel), instructions: 'Write.', output })
    const worker = await (await world()).worker({ use: [writer] })
    const handle = await worker.ask(writer, 'tides')
    const objects = await Array.fromAsync(handle.objects())
    expect(objects.at(-1)).toEqual(JSON.parse(said))
    expect(objects.length).toBeGreaterThan(1)
  })

  it('publishes events of the app, checked, once for each id', async () => {
    const paid = event('order.paid', z.object({ order: z.string(), lines: z.array(z.object({ cents: z.number() })) }))
    const booked: unknown[] = []
    const book = tool('book', {
      description: 'Books.',
      input: z.object({ order: z.string() }),
      run: input => booked.push(input),
    })
    const clerk = agent('clerk', {
      on: paid,
      run: ctx => ctx.call(book, { order: (ctx.event.data as { order: string }).order }),
    })
    const worker = await (await world()).worker({ use: [book, clerk] })
    const order = { order: 'A-17', lines: [{ cents: 12 }] }
    const first = await worker.publish(paid, order, { id: 'payment-1' })
    expect(await worker.publish(paid, order, { id: 'payment-1' })).toMatchObject({ ...first, duplicate: true })
    await until(() => booked.length === 1)
    const wrong = { order: 'A-18', lines: [{ cents: 'x' as unknown as number }] }
    await expect(worker.publish(paid, wrong)).rejects.toThrow('lines.0.cents')
    await expect(worker.publish('tool.result', 1)).rejects.toMatchObject({ code: 'E_EVENT_INVALID' })
    expect(booked).toEqual([{ order: 'A-17' }])
  })

  it('lists the events of one request of a thread', async () => {
    const worker = await (await world()).worker({ use: [double] })
    const first = await worker.ask(double, 1, { thread: 'a chat', user: 'ada' })
    await first.result({ within: '10s' })
    const second = await worker.ask(double, 2, { thread: 'a chat', user: 'ada' })
    expect(second.correlation).toBe(first.correlation)
    const events = await Array.fromAsync(second.events())
    expect(events.map(({ type, user }) => ({ type, user }))).toEqual([
      { type: 'agent.invoke', user: 'ada' },
      { type: 'agent.task.completed', user: 'ada' },
    ])
  })

  it('continues the conversation of a thread, which only that thread remembers', async () => {
    const { model: languageModel, asked } = plainModel(prompt => `answer ${prompt.length}`)
    const chat = agent('chat', { model: model(languageModel), instructions: 'Chat.' })
    const worker = await (await world()).worker({ use: [chat] })
    const say = async (text: string, thread: string) =>
      (await worker.ask(chat, text, { thread })).result({ within: '10s' })
    expect(await say('My name is Ada.', 'one')).toBe('answer 2')
    expect(await say('I am Bob.', 'two')).toBe('answer 2')
    expect(await say('Who am I?', 'one')).toBe('answer 4')
    expect(await say('And now?', 'one')).toBe('answer 6')
    const texts = asked
      .at(-1)!
      .flatMap(({ content }) =>
        typeof content === 'string' ? [content] : content.flatMap(part => (part.type === 'text' ? [part.text] : [])),
      )
    expect(texts).toEqual(['Chat.', 'My name is Ada.', 'answer 2', 'Who am I?', 'answer 4', 'And now?'])
  })

  it('sends a message to a running task, also before its first turn', async () => {
    const listener = agent('listener', {
      init: () => ({ heard: [] as unknown[] }),
      evolve: (state, event: CloudEvent) => {
        if (event.type === 'agent.message') state.heard.push((event.data as { message: unknown }).message)
        return state
      },
      decide(state, _, ctx) {
        if (state.heard.length === 3) ctx.complete(state.heard)
        else if (ctx.version === 1) ctx.sleep('1d')
      },
    })
    const worker = await (await world()).worker({ use: [listener] })
    const handle = await worker.ask(listener, null)
    for (const message of ['one', 'two', 'three']) await handle.say(message)
    expect(await handle.result({ within: '20s' })).toEqual(['one', 'two', 'three'])
  })

  it('gives a retried task its new result', async () => {
    let isFixed = false
    const created = await world()
    const fragile = tool('fragile', {
      description: 'Fails at first.',
      input: z.object({}),
      run: () => {
        if (!isFixed) throw new Error('not yet')
        return 'fixed'
      },
    })
    const caller = agent('caller', { run: ctx => ctx.call(fragile, {}) })
    const worker = await created.worker({ use: [fragile, caller] })
    const handle = await worker.ask(caller, null)
    await expect(handle.result({ within: '10s' })).rejects.toMatchObject({ code: 'E_TOOL_THREW' })
    isFixed = true
    expect((await tidings(created.place, ['retry', handle.id])).stderr).toBe('')
    await until(
      async () =>
        (await worker
          .handle(handle.id)
          .result()
          .catch(() => '')) === 'fixed',
    )
  })

  it('shows a task as it runs on the command line, and what follows from an event', async () => {
    const created = await world()
    await created.worker(researching())
    const asked = await tidings(created.place, ['ask', 'desk', 'why'])
    expect(asked.stderr).toBe('')
    expect(asked.stdout).toContain('→ web.search {"q":"why"}\n')
    expect(asked.stdout).toMatch(/Because of about why\.\n$/)
    const published = await tidings(created.place, ['publish', 'question.asked', '"why"', '--wait'])
    expect(published.stdout).toContain('question.answered')
    expect(published.stdout.trimEnd().split('\n').at(-1)).toContain('agent.task.completed')
    const nobody = await tidings(created.place, ['publish', 'nothing.listens', '1', '--wait'])
    expect(nobody).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^✖ no task takes the event .* E_NOT_FOUND\n/),
    })
    await created.stop()
    const waiting = launch(created.place, ['ask', 'desk', 'why'])
    let warned = ''
    for await (const text of waiting.stderr) if ((warned += String(text)).includes('Ctrl-C')) break
    expect(warned).toContain('no worker that hosts "desk" is running; the request waits on the log')
    waiting.kill('SIGKILL')
    const late = await tidings(created.place, ['publish', 'question.asked', '"why"', '--wait', '--within', '1s'])
    expect(late).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('✖ no task has taken the event within 1s E_RESULT_PENDING'),
    })
  })
})

function researching() {
  const search = tool('web.search', {
    description: 'Searches.',
    input: z.object({ q: z.string() }),
    run: async ({ q }, { progress }) => {
      progress({ percent: 50 })
      // The signal has gone out before the answer does.
      await setImmediate()
      return `about ${q}`
    },
  })
  const { model: languageModel } = plainModel(prompt => {
    const last = prompt.at(-1)!
    if (last.role !== 'tool') return [{ id: 'c1', tool: 'web_search', input: { q: 'why' } }]
    return 'Because of about why.'
  })
  const researcher = agent('researcher', { model: model(languageModel), instructions: 'Answer.', tools: [search] })
  const desk = agent('desk', {
    on: 'question.asked',
    run: async (ctx, question: string) => {
      const answer = await ctx.call(researcher, question)
      ctx.emit({ type: 'question.answered', data: { answer } })
      return answer
    },
  })
  return { use: [search, researcher, desk] }
}
