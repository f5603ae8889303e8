import { consume } from '../bus/delivery.ts'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { startGateway } from '../../test/lib/gateway.ts'
import { taskId } from '../bus/ids.ts'
import { collect } from '../testing/wait.ts'
import { startGateway as start, type GatewayOptions } from './gateway.ts'

async function openGateway(options: Partial<GatewayOptions> = {}) {
  const { bus, gateway, url, commits } = await startGateway(options)
  const post = async (body: unknown, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer }
  }
  const stored = async () => (await collect(bus.read({}))).map(({ event }) => event)
  return { bus, gateway, url, post, stored, commits }
}

interface Answer {
  correlationid: string
  ids: string[]
  duplicates?: string[]
  error: { code: string; message: string; next: string; retryable: boolean }
}

/** With headers that fetch does not let one set. */
async function ask(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string },
) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: Answer }>()
  const { body, ...rest } = options
  request(`${url}${path}`, rest, response => {
    text(response).then(found => resolve({ status: response.statusCode!, body: JSON.parse(found) as Answer }), reject)
  })
    .on('error', reject)
    .end(body)
  return promise
}

test('an event is on the log when it is answered, stamped by the gateway', async () => {
  const { post, stored, bus } = await openGateway()
  const { status, body } = await post({ type: 'order.paid', data: { euros: 5 }, subject: 'order 7' })
  expect(status).toBe(202)
  expect(await bus.get(body.ids[0]!, body.correlationid)).toMatchObject({
    type: 'order.paid',
    data: { euros: 5 },
    subject: 'order 7',
    source: '/gateway',
    tenant: 'default',
    hops: 0,
    correlationid: body.correlationid,
  })
  expect(await stored()).toHaveLength(1)
})

test('a batch is stored whole, in order, and shares a correlation', async () => {
  const { post, stored } = await openGateway()
  const { status, body } = await post([{ type: 'a.one' }, { type: 'a.two' }, { type: 'a.three' }])
  expect(status).toBe(202)
  expect((await stored()).map(event => [event.id, event.type, event.correlationid])).toEqual(
    ['a.one', 'a.two', 'a.three'].map((type, i) => [body.ids[i], type, body.correlationid]),
  )
})

test('a batch with one invalid event stores nothing', async () => {
  const { post, stored } = await openGateway()
  const { status, body } = await post([{ type: 'a.one' }, { type: 'Not A Type' }])
  expect([status, body.error.code]).toEqual([400, 'E_EVENT_INVALID'])
  expect(await stored()).toEqual([])
})

test('an id of its own makes a repeated request inert, and the answer names the first correlation', async () => {
  const { post, stored } = await openGateway()
  const first = await post({ id: 'order-7', type: 'order.paid' })
  const again = await post([{ id: 'order-7', type: 'order.paid' }, { type: 'order.shipped' }])
  expect(first.body.duplicates).toBeUndefined()
  expect(again.body).toMatchObject({ correlationid: first.body.correlationid, duplicates: ['order-7'] })
  expect(await stored()).toHaveLength(2)
})

test('CloudEvents are accepted in structured, batch and binary mode', async () => {
  const { post, stored } = await openGateway()
  const cloudEvent = {
    specversion: '1.0',
    id: '1',
    source: '/elsewhere',
    type: 'order.paid',
    time: '2020-01-01T00:00:00Z',
  }
  expect((await post(cloudEvent, { 'content-type': 'application/cloudevents+json; charset=utf-8' })).status).toBe(202)
  const batch = await post([{ ...cloudEvent, id: '2' }], { 'content-type': 'application/cloudevents-batch+json' })
  expect(batch.status).toBe(202)
  const binary = {
    'ce-specversion': '1.0',
    'ce-id': '3',
    'ce-source': '/x',
    'ce-type': 'order.paid',
    'ce-subject': 'caf%C3%A9',
  }
  expect((await post([1, 2], binary)).status).toBe(202)
  const events = await stored()
  expect(events.map(({ id, source }) => [id, source])).toEqual(['1', '2', '3'].map(id => [id, '/gateway']))
  expect(events[0]!.time).not.toBe(cloudEvent.time)
  expect(events[2]).toMatchObject({ subject: 'café', data: [1, 2] })
})

test('event types of the runtime are refused', async () => {
  const { post, stored } = await openGateway()
  const types = [
    'task.turn',
    'control.paused',
    'tool.claimed',
    'tool.result',
    'tool.invoke',
    'model.result',
    'model.invoke',
  ]
  types.push(
    'agent.task.completed',
    'agent.other',
    'call.cancelled',
    'call.expired',
    'timer.set',
    'timer.fired',
    'tool',
  )
  const drafts = [
    ...types.map(type => ({ type, target: 'x', data: { input: 1 } })),
    ...['tenant', 'user', 'hops', 'replyto', 'call', 'deadline', 'dataref'].map(name => ({
      type: 'order.paid',
      [name]: 'a',
    })),
    { type: 'order.paid', id: `${taskId('01a20437-6055-7e12-88f2-f03080286357', 'p', 'e')}:0000001:0` },
  ]
  for (const draft of drafts) {
    const { status, body } = await post(draft)
    expect([draft, status, body.error?.code]).toEqual([draft, 400, 'E_EVENT_INVALID'])
  }
  expect(await stored()).toEqual([])
})

test('an agent may be asked, with a target and an input, and a task of it cancelled within its correlation', async () => {
  const { post, bus } = await openGateway()
  expect((await post({ type: 'agent.invoke', target: 'planner', data: { input: 'why?' } })).status).toBe(202)
  expect((await post({ type: 'agent.invoke', data: { input: 'why?' } })).status).toBe(400)
  expect((await post({ type: 'agent.invoke', target: 'planner', data: 'why?' })).status).toBe(400)
  expect((await post({ type: 'agent.invoke', target: 'planner' })).status).toBe(400)

  const correlationid = '01a20437-6055-7e12-88f2-f03080286357'
  const cancel = { type: 'agent.cancel', target: 'planner', subject: taskId(correlationid, 'planner', 'start') }
  const { status, body } = await post(cancel)
  expect([status, body.correlationid]).toEqual([202, correlationid])
  expect(await bus.get(body.ids[0]!, correlationid)).toMatchObject({ correlationid, subject: cancel.subject })
  expect((await post({ ...cancel, subject: 'something' })).status).toBe(400)
  expect((await post({ ...cancel, correlationid: crypto.randomUUID() })).status).toBe(400)
})

test('a body over the limit is refused before it has arrived whole', async () => {
  const { url, stored } = await openGateway({ maxBodyBytes: 10_000 })
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
  )
  // The request never ends; the response still comes.
  for (let sent = 0; sent < 3; sent++) socket.write(`1000\r\n${'"'.repeat(0x1000)}\r\n`)
  const answer = await text(socket)
  expect(answer).toMatch(/^HTTP\/1\.1 413 /)
  expect(answer).toContain('E_REQUEST_TOO_LARGE')
  const { status } = await ask(url, '/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `"${'x'.repeat(10_000)}"`,
  })
  expect(status).toBe(413)
  expect(await stored()).toEqual([])
})

test('data that grows over the limit of the bus is refused', async () => {
  const { post, stored } = await openGateway()
  // Short to send, and 21 times as long when it is written out.
  const { status, body } = await post(`{"type":"a.b","data":[${Array(400_000).fill('1e20').join()}]}`)
  expect([status, body.error.code]).toEqual([413, 'E_EVENT_TOO_LARGE'])
  expect(await stored()).toEqual([])
})

test('more than 1,000 events in a request are refused, 1,000 are not', async () => {
  const { post, stored } = await openGateway()
  const events = Array.from({ length: 1_001 }, () => ({ type: 'a.b' }))
  expect((await post(events)).status).toBe(413)
  expect((await post(events.slice(1))).status).toBe(202)
  expect(await stored()).toHaveLength(1_000)
})

test('only JSON is accepted', async () => {
  const { post } = await openGateway()
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json; charset=latin1', '']) {
    const { status, body } = await post({ type: 'a.b' }, { 'content-type': type })
    expect([type, status, body.error.code]).toEqual([type, 415, 'E_REQUEST_INVALID'])
  }
})

test('other paths and methods are answered with 404 and 405', async () => {
  const { url } = await openGateway()
  expect(await ask(url, '/event', {})).toMatchObject({ status: 404, body: { error: { code: 'E_NOT_FOUND' } } })
  expect((await ask(url, '/event', {})).body.error.message).toContain(
    '/event does not exist; expected GET /health, GET /metrics, GET /events/stream, GET /events/socket, POST /events,',
  )
  expect(await ask(url, '/events', { method: 'PUT' })).toMatchObject({
    status: 405,
    body: { error: { code: 'E_REQUEST_INVALID' } },
  })
  expect(await ask(url, '/health', { method: 'DELETE' })).toMatchObject({ status: 405 })
  expect((await fetch(`${url}/events/stream`, { method: 'HEAD' })).status).toBe(405)
})

test('a page of another origin, and a name that is pointed at this machine, get nothing', async () => {
  const { url, stored } = await openGateway()
  const { host } = new URL(url)
  const post = { method: 'POST', body: '{"type":"a.b"}' }
  const send = async (headers: Record<string, string>) =>
    (await ask(url, '/events', { ...post, headers: { 'content-type': 'application/json', ...headers } })).status
  expect(await send({ host: 'evil.example' })).toBe(403)
  expect(await send({ host: `evil.example:${host.split(':')[1]}` })).toBe(403)
  expect(await send({ origin: 'http://evil.example' })).toBe(403)
  expect(await send({ origin: 'null' })).toBe(403)
  expect((await ask(url, '/health', { headers: { host: 'evil.example' } })).status).toBe(403)
  expect(await stored()).toEqual([])
  expect(await send({ origin: `http://${host}` })).toBe(202)
  expect(await send({ host: 'localhost' })).toBe(202)
})

test('health reports the log and its groups', async () => {
  const { url, bus } = await openGateway()
  const nothing = async () => ({ outcome: { kind: 'done' } as const })
  const filter = [{ types: ['job.made'] }]
  const consumer = await consume(bus, {
    group: 'jobs',
    filter,
    maxInFlight: 1,
    from: 'beginning',
    maxDeliveries: 1,
    handle: nothing,
    fail: () => [],
  })
  consumer.pause()
  await bus.publish({ type: 'job.made', data: null })
  const healthy = await fetch(`${url}/health`)
  expect(healthy.status).toBe(200)
  expect(await healthy.json()).toMatchObject({
    status: 'ok',
    bus: 'sqlite',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    durability: { survives: 'power' },
    groups: [expect.objectContaining({ group: 'jobs' })],
  })
  await consumer.close()
})

test('health is 503 while the log cannot be written', async () => {
  const { url, commits } = await openGateway()
  commits.fail(1)
  const ill = await fetch(`${url}/health`)
  expect(ill.status).toBe(503)
  expect(await ill.json()).toMatchObject({
    status: 'unavailable',
    error: { code: 'E_LOG_UNAVAILABLE', retryable: true },
  })
})

test('while the log cannot be written a publish is 503, to be tried again, and nothing is stored', async () => {
  const { post, stored, commits } = await openGateway()
  commits.fail(1)
  const { status, headers, body } = await post({ type: 'a.b' })
  expect([status, headers.get('retry-after'), body.error.code, body.error.retryable]).toEqual([
    503,
    '1',
    'E_LOG_UNAVAILABLE',
    true,
  ])
  expect(await stored()).toEqual([])
  expect((await post({ type: 'a.b' })).status).toBe(202)
})

test('a port in use is an error that names the port', async () => {
  const { bus, url } = await openGateway()
  const port = Number(new URL(url).port)
  await expect(start({ bus, port })).rejects.toMatchObject({
    code: 'E_PORT_IN_USE',
    message: expect.stringContaining(String(port)),
  })
})

test('the port is free again after stop, also with an idle connection', async () => {
  const { bus, url, gateway } = await openGateway()
  expect((await fetch(`${url}/health`)).status).toBe(200)
  await gateway.stop()
  const again = await start({ bus, port: Number(new URL(url).port) })
  expect(again.url).toBe(url)
  await again.stop()
})
