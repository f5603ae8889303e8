import { randomUUIDv7 } from 'node:crypto'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { event } from '../src/event.ts'
import { parseId } from '../src/bus/ids.ts'
import { eventPlan } from '../src/gateway/commands/publish.ts'
import type { RemoteTaskState } from '../src/ask/remote-task-state.ts'
import { anyone } from '../src/gateway/identity/principal.ts'
import { model } from '../src/models/model.ts'
import type { Turn } from '../src/tasks/program.ts'
import { turnType } from '../src/tasks/turn.ts'
import { collect, until } from '../src/testing/wait.ts'
import { by } from '../src/workflows/key.ts'
import { on } from '../src/workflows/patterns.ts'
import { workflow } from '../src/workflows/workflow.ts'
import { Pen } from './lib/pen.ts'
import { onAnyBus } from './lib/world.ts'

/* Commands over HTTP: requests to agents, their tasks, attachments, and requests that are repeated under a key. */

interface Answer extends RemoteTaskState {
  readonly status: RemoteTaskState['status']
  readonly ids: string[]
  readonly duplicates?: string[]
  readonly linked: string[]
  readonly blob: string
  readonly error?: RemoteTaskState['error'] & { readonly code: string }
}

const double = agent('double', { run: (_, n: number) => n * 2 })
const failing = agent('failing', {
  run: () => {
    throw new Error('no luck')
  },
})
const listener = agent('listener', {
  waitsFor: ['agent.message'],
  async run(ctx, name: string) {
    ctx.state.name = name
    return ctx.waitFor('agent.message', { within: '1h' })
  },
})

const pager = agent('pager', {
  on: event('book.opened', z.object({ page: z.number() })),
  run: (ctx, { page }) => (page < 3 ? ctx.continueAs({ page: page + 1 }) : `read to page ${page}`),
})

const paid = event('invoice.paid', z.object({ order: z.string() }))
const clerk = agent('clerk', {
  on: 'order.placed',
  waitsFor: ['agent.message'],
  run: ctx => ctx.waitFor('agent.message', { within: '1h' }),
})
const orders = workflow('orders', { key: [by(paid, p => p.order)], within: '1h' })
  .when('paid', on(paid), { within: '1h' })
  .complete(() => 'sent')

const forged = (data: unknown) => ({ type: 'agent.invoke', target: 'double', data })

onAnyBus(world => {
  const use = [double, failing, listener, clerk, pager, orders]
  const started = async () => {
    const running = await (await world()).worker({ use })
    const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
      const json = body === undefined ? {} : { 'content-type': 'application/json' }
      const request = new Request(`http://shop.example${path}`, {
        method,
        headers: { ...json, ...headers },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const response = await running.fetch(request)
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: JSON.parse(text) as Answer }
    }
    return { running, send, types: async () => (await collect(running.bus.read({}))).map(({ event }) => event.type) }
  }

  it('accepts a request at once, and shows its task until it has ended', async () => {
    const { send, types } = await started()
    const asked = await send('POST', '/agents/listener', { input: 'Ada' })
    expect(asked.status).toBe(202)
    const { task, correlationid } = asked.body
    expect(new URL(asked.headers.get('location')!, 'http://shop.example/agents/listener').pathname).toBe(
      `/tasks/${task}`,
    )
    await until(async () => (await send('GET', `/tasks/${task}`)).body.state !== undefined)
    expect((await send('GET', `/tasks/${task}`)).body.state).toEqual({ name: 'Ada' })
    expect(await send('GET', `/tasks/${task}/result`)).toMatchObject({ status: 202, body: { status: 'running' } })
    expect((await send('POST', `/tasks/${task}/messages`, { message: 'hello' })).status).toBe(202)
    const ended = await send('GET', `/tasks/${task}/result`, undefined, { prefer: 'wait=30' })
    expect(ended).toMatchObject({ status: 200, body: { task, correlationid, target: 'listener', status: 'completed' } })
    expect(ended.body.output).toEqual({ message: 'hello' })
    expect(ended.headers.get('preference-applied')).toBe('wait')
    expect((await types()).slice(-2)).toEqual(['agent.message.taken', 'agent.task.completed'])
    expect(await send('POST', `/tasks/${task}/messages`, { message: 'late' })).toMatchObject({
      status: 409,
      body: { error: { code: 'E_TASK_ENDED' } },
    })
  })

  it('answers with the result to a client that prefers to wait, also if the task fails', async () => {
    const { send } = await started()
    const wait = { prefer: 'respond-async, wait=30' }
    expect(await send('POST', '/agents/double', { input: 21 }, wait)).toMatchObject({
      status: 200,
      body: { status: 'completed', output: 42 },
    })
    expect(await send('POST', '/agents/failing', { input: null }, wait)).toMatchObject({
      status: 200,
      body: { status: 'failed', error: { message: 'no luck' } },
    })
    const slow = await send('POST', '/agents/listener', { input: 'Ada' }, { prefer: 'wait=0' })
    expect(slow).toMatchObject({ status: 202, body: { status: 'running' } })
    expect((await send('POST', '/agents/double', { input: 2 }, { prefer: 'wait' })).body.output).toBe(4)
    const cancelled = await send('DELETE', `/tasks/${slow.body.task}`, { reason: 'the customer left' })
    expect(cancelled.status).toBe(202)
    const end = await send('GET', `/tasks/${slow.body.task}/result`, undefined, { prefer: 'wait=30' })
    expect(end.body).toMatchObject({ status: 'cancelled', error: { message: 'the customer left' } })
    expect((await send('DELETE', `/tasks/${slow.body.task}`)).status).toBe(200)
  })

  it('shows and cancels a task that an event started, and waits for it', async () => {
    const { running, send } = await started()
    const wait = { prefer: 'wait=30' }
    const taskOf = async (id: string, correlation: string) => {
      const turns = await until(async () => {
        const found = await collect(running.bus.read({ correlation }))
        return found
          .map(({ event }) => event)
          .find(({ type, data }) => type === turnType && (data as Turn).inputs.some(input => input.id.startsWith(id)))
      })
      return parseId(turns.id)!.task
    }
    const placed = async () => {
      const { id, correlationid } = await running.publish('order.placed', 'A-1')
      return taskOf(id, correlationid)
    }
    const [first, second] = [await placed(), await placed()]
    expect(await send('GET', `/tasks/${first}`)).toMatchObject({
      status: 200,
      body: { task: first, target: 'clerk', status: 'running' },
    })
    const streamed = running
      .handle(first)
      .response()
      .then(response => response.text())
    const result = running.handle(first).result()
    expect((await send('POST', `/tasks/${first}/messages`, { message: 'hello' })).status).toBe(202)
    expect(await send('GET', `/tasks/${first}/result`, undefined, wait)).toMatchObject({
      status: 200,
      body: { status: 'completed', output: { message: 'hello' } },
    })
    expect(await result).toEqual({ message: 'hello' })
    expect(await streamed).toMatch(/event: result\ndata: {"message":"hello"}/)
    expect((await send('DELETE', `/tasks/${second}`, { reason: 'no stock' })).status).toBe(202)
    const cancelled = await send('GET', `/tasks/${second}/result`, undefined, wait)
    expect(cancelled.body).toMatchObject({ status: 'cancelled', error: { message: 'no stock' } })
    const stranger = await running.fetchAs(
      { tenant: 'other', may: () => true },
      new Request(`http://shop.example/tasks/${first}`),
    )
    expect(stranger.status).toBe(404)

    const opened = await running.publish('book.opened', { page: 1 })
    const read = await taskOf(opened.id, opened.correlationid)
    expect(await send('GET', `/tasks/${read}/result`, undefined, { prefer: 'wait=10' })).toMatchObject({
      body: { task: read, status: 'completed', output: 'read to page 3' },
    })

    const payment = await send('POST', '/events', { type: 'invoice.paid', data: { order: 'A-1' } })
    const [instance] = payment.body.linked
    const task = await taskOf(payment.body.ids[0]!, instance!)
    expect(await send('GET', `/tasks/${task}/result`, undefined, wait)).toMatchObject({
      body: { target: 'orders', status: 'completed', output: 'sent' },
    })
    expect(await send('POST', '/workflows/orders', { input: {} })).toMatchObject({
      status: 400,
      body: {
        error: { code: 'E_REQUEST_INVALID', message: 'workflow "orders" is started by events and cannot be called' },
      },
    })
  })

  it('shows nothing of the loop of a model agent that runs, and waits no time without a warning', async () => {
    const pen = new Pen()
    const writer = agent('writer', { model: model(pen.model), instructions: 'Write.' })
    const running = await (await world()).worker({ use: [writer] })
    const warned: string[] = []
    const onWarning = ({ name }: Error) => void warned.push(name)
    process.on('warning', onWarning)
    const { id } = await running.ask(writer, 'A story, please.')
    await pen.sheet()
    const request = new Request(`http://shop.example/tasks/${id}/result`, { headers: { prefer: 'wait=0' } })
    const { status, state } = (await (await running.fetch(request)).json()) as Answer
    pen.close()
    process.off('warning', onWarning)
    expect([status, state, warned]).toEqual(['running', undefined, []])
  })

  it('takes a request once for each key, and refuses another request under it', async () => {
    const { send, types } = await started()
    const key = { 'idempotency-key': 'order A-17', prefer: 'wait=30' }
    const answers = await Promise.all([1, 2, 3].map(() => send('POST', '/agents/double', { input: 4 }, key)))
    expect(new Set(answers.map(({ body }) => body.task)).size).toBe(1)
    expect(answers.map(({ body }) => body.output)).toEqual([8, 8, 8])
    const replayed = answers.map(({ headers }) => headers.get('idempotency-replayed') ?? 'no')
    expect(replayed.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['no', 'true', 'true'])
    expect((await types()).filter(type => type === 'agent.invoke')).toHaveLength(1)
    expect(await send('POST', '/agents/double', { input: 5 }, key)).toMatchObject({
      status: 422,
      body: { error: { code: 'E_KEY_REUSED' } },
    })
    const other = await send('POST', '/agents/failing', { input: 4 }, key)
    expect(other.body.task).not.toBe(answers[0]!.body.task)
    const { body } = await send('POST', '/agents/listener', { input: 'Ada' })
    expect((await send('POST', '/events', { type: 'order.late' }, key)).status).toBe(202)
    const say = () => send('POST', `/tasks/${body.task}/messages`, { message: 'hello' }, key)
    const said = [await say(), await say()]
    expect(said.map(({ status, headers }) => [status, headers.get('idempotency-replayed')])).toEqual([
      [202, null],
      [202, 'true'],
    ])
  })

  it('completes a publish that was cut off after its key was stored, and repeats its answer', async () => {
    const { running, send, types } = await started()
    const events = [
      { type: 'order.paid', data: 1 },
      { type: 'order.paid', data: 2 },
      { type: 'order.shipped', id: 'own-id' },
    ]
    const key = { 'idempotency-key': randomUUIDv7() }
    const first = await send('POST', '/events', events, key)
    const again = await send('POST', '/events', events, key)
    expect(again.body).toEqual(first.body)
    expect([first, again].map(({ headers }) => headers.get('idempotency-replayed'))).toEqual([null, 'true'])
    expect(await types()).toEqual(['order.paid', 'order.paid', 'order.shipped'])
    expect(await running.bus.get(first.body.ids[1]!, first.body.correlationid)).toMatchObject({ data: 2 })
    expect((await send('POST', '/events', events.slice(1), key)).status).toBe(422)
    // As a gateway leaves it that dies after it stored the key.
    const { ids } = await eventPlan(running.bus, anyone, [{ type: 'order.late' }], 'cut off')
    const completed = await send('POST', '/events', [{ type: 'order.late' }], { 'idempotency-key': 'cut off' })
    expect(completed.body.ids).toEqual(ids)
    expect(await types()).toContain('order.late')
  })

  it('stores attachments and gives them back as what no browser runs', async () => {
    const { running, send } = await started()
    const picture = { 'content-type': 'image/png' }
    const stored = await send('POST', '/blobs', 'the bytes of a picture', picture)
    expect(stored).toMatchObject({ status: 201, body: { bytes: 22, mediaType: 'image/png' } })
    const url = `http://shop.example/blobs/${stored.body.blob}`
    const response = await running.fetch(new Request(`${url}?type=image/png`))
    expect(await response.text()).toBe('the bytes of a picture')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
    })
    for (const type of [
      'text/html',
      'image/',
      'image/x-svg',
      'audio/../../',
      'image/%E2%82%AC',
      'image/a%0D%0Ab',
      'image/a%01',
    ])
      expect((await running.fetch(new Request(`${url}?type=${type}`))).status).toBe(415)
    expect((await send('POST', '/blobs', '<svg/>', { 'content-type': 'image/svg+xml' })).status).toBe(415)
    expect(await send('GET', `/blobs/sha256-${'0'.repeat(64)}`)).toMatchObject({ status: 404 })
  })

  it.each([
    ['POST', '/agents/double', { inptu: 1 }, 400, /input.*|inptu/],
    ['POST', '/agents/dubble', { input: 1 }, 404, /did you mean "double"/i],
    ['POST', '/agents/double', { input: 1, deadline: 'soon' }, 400, /deadline/],
    ['GET', '/tasks/nonsense', undefined, 400, /not the id of a task/],
    ['GET', `/tasks/${randomUUIDv7()}.0123456789abcdef`, undefined, 400, /not the id of a task|no request/],
    ['PUT', '/agents/double', { input: 1 }, 405, /accepts only POST/],
    ['POST', '/events', forged({ input: 1, conversation: {} }), 400, /may have only "input": "conversation"/],
    ['POST', '/events', forged({ input: 1, thread: {} }), 400, /may have only "input": "thread"/],
  ])('refuses %s %s with %j', async (method, path, body, status, message) => {
    const { send } = await started()
    const refused = await send(method, path, body)
    expect([refused.status, refused.body.error?.message]).toEqual([status, expect.stringMatching(message)])
  })
})
