import { execFile } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { curl, openTrigger, type Reply, secrets, signedBy } from '../../../test/lib/webhook.ts'
import type { Bus } from '../../bus/bus.ts'
import { plainRedactor } from '../../bus/redact.ts'
import { TidingsError } from '../../errors.ts'
import { until } from '../../testing/wait.ts'
import { readBody } from '../../http/body.ts'
import { startServer } from './server.ts'
import { webhook } from './webhook.ts'

const run = promisify(execFile)
const endpoints = { orders: { secret: secrets.standard }, open: { scheme: 'none' as const } }

/** A client that writes what it is told to. */
function dial(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  return socket
}

/** What arrives until the connection ends, also if a write fails because the other side closed. */
async function received(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('utf8').on('data', chunk => void (text += chunk))
  await once(socket, 'close')
  return text
}

const post = (body: string, more = '') =>
  `POST /hooks/open HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${more}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

/** Waits for this many responses; each must be 202. */
async function answers(socket: Socket, count: number): Promise<void> {
  let text = ''
  socket.on('data', chunk => void (text += chunk))
  await until(() => text.match(/HTTP\/1.1 202 /g)?.length === count)
  expect(text.match(/HTTP\/1.1 /g)).toHaveLength(count)
}

test('requests that no endpoint takes are refused with an HTTP status, and not stored', async () => {
  const { url, stored } = await openTrigger({ endpoints, maxBytes: 10_000 })
  const large = JSON.stringify('x'.repeat(10_000))
  const refused: [number, string, () => Promise<Reply>][] = [
    [404, 'E_NOT_FOUND', () => curl(`${url}/nothing`, '{}', {})],
    [404, 'E_NOT_FOUND', () => curl(`${url}/orders/`, '{}', {})],
    [404, 'E_NOT_FOUND', () => curl(`${url}/__proto__`, '{}', {})],
    [405, 'E_REQUEST_INVALID', () => curl(`${url}/open`, '{}', {}, '-X', 'PUT')],
    [405, 'E_REQUEST_INVALID', () => curl(`${url}/open`, '{}', {}, '-X', 'GET')],
    [413, 'E_REQUEST_TOO_LARGE', () => curl(`${url}/open`, large, {})],
    [413, 'E_REQUEST_TOO_LARGE', () => curl(`${url}/open`, large, { 'transfer-encoding': 'chunked' })],
    [413, 'E_REQUEST_TOO_LARGE', () => curl(`${url}/open`, large.repeat(500), { expect: '100-continue' })],
    [
      415,
      'E_REQUEST_INVALID',
      () => curl(`${url}/open`, gzipSync(Buffer.alloc(9_000_000)), { 'content-encoding': 'gzip' }),
    ],
    [415, 'E_REQUEST_INVALID', () => curl(`${url}/open`, '{}', { 'content-encoding': 'identity, br' })],
    [400, 'E_REQUEST_INVALID', () => curl(`${url}/open`, '{"a":', {})],
    [400, 'E_REQUEST_INVALID', () => curl(`${url}/open`, Buffer.from([0x22, 0xff, 0x22]), {})],
    [400, 'E_EVENT_INVALID', () => curl(`${url}/open`, '{"__proto__":{"x":1}}', {})],
    [400, 'E_EVENT_INVALID', () => curl(`${url}/open`, '['.repeat(80) + ']'.repeat(80), {})],
  ]
  for (const [status, code, send] of refused) expect(await send()).toMatchObject({ status, body: { error: { code } } })
  expect((await curl(`${url}/open`, '{}', {}, '-X', 'DELETE')).headers).toContain('allow: post')
  expect(await stored()).toEqual([])
})

test('bodies of every kind arrive as they were sent', async () => {
  const { url, stored, blob } = await openTrigger({ endpoints })
  const binary = Buffer.from([0, 255, 254, 10, 13, 128])
  const sent: [string | Buffer, string, unknown][] = [
    ['{"a":[1,null]}', 'application/json; charset=utf-8', { a: [1, null] }],
    ['null', 'application/json', null],
    ['{"a":1}', 'application/vnd.acme+json', { a: 1 }],
    ['a=1&b=x%20y&b=%C3%A4', 'application/x-www-form-urlencoded', { a: '1', b: ['x y', 'ä'] }],
    ['<a/>', 'text/xml', null],
    [binary, 'application/octet-stream', null],
    ['', 'text/plain', null],
  ]
  for (const [body, type] of sent) {
    expect((await curl(`${url}/open`, body, { 'content-type': type })).status).toBe(202)
    expect((await curl(`${url}/open`, body, { 'content-type': type, 'transfer-encoding': 'chunked' })).status).toBe(202)
  }
  const found = await stored()
  expect(found.map(({ data }) => data.body)).toEqual(sent.flatMap(([, , value]) => [value, value]))
  const raw = await Promise.all(found.map(({ data }) => blob(data.raw.blob)))
  expect(raw).toEqual(sent.flatMap(([body]) => [Buffer.from(body), Buffer.from(body)]))
})

test('a connection is used for several requests', async () => {
  const { url, stored } = await openTrigger({ endpoints })
  const { stdout, stderr } = await run('curl', [
    '-sv',
    '-H',
    'content-type: application/json',
    '--data-raw',
    '{}',
    `${url}/open`,
    `${url}/open`,
  ])
  expect(stdout.match(/"id":/g)).toHaveLength(2)
  expect(stderr).toContain('Re-using existing connection')
  expect(await stored()).toHaveLength(2)
})

test('what is left of a body that is refused does not stand in the way of the next request', async () => {
  const { url, stored } = await openTrigger({ endpoints, maxBytes: 10_000 })
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  const socket = dial(url)
  socket.write(
    post('{}').replace(/content-length.*/s, `transfer-encoding: chunked\r\n\r\n${chunk.repeat(100)}0\r\n\r\n`),
  )
  socket.write(post('{}'))
  let answer = ''
  socket.on('data', data => void (answer += data))
  await until(() => /HTTP\/1.1 413 .*HTTP\/1.1 202 /s.test(answer))
  expect(await stored()).toHaveLength(1)
})

test('while the log cannot be written the source is asked to retry, and its retry is stored once', async () => {
  const { url, commits, stored } = await openTrigger({ endpoints })
  const headers = await signedBy.standard('{}')
  commits.fail(1)
  const refused = await curl(`${url}/orders`, '{}', headers)
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 'E_LOG_UNAVAILABLE' } } })
  expect(refused.headers).toContain('retry-after: 1')
  expect(await stored()).toEqual([])
  for (const _ of [1, 2]) expect((await curl(`${url}/orders`, '{}', headers)).status).toBe(202)
  expect(await stored()).toHaveLength(1)
})

/** Lets no publish reach the log before the gate is opened, and counts those that wait. */
function holdPublishes({ driver }: Bus) {
  const { publish } = driver
  const { promise, resolve } = Promise.withResolvers<void>()
  const gate = { held: 0, open: () => resolve() }
  driver.publish = async entries => {
    gate.held++
    await promise
    return publish.call(driver, entries)
  }
  return gate
}

test('a log that is away for a moment is waited for', async () => {
  const { url, bus } = await openTrigger({ endpoints })
  const away = new TidingsError('E_LOG_UNAVAILABLE', 'not connected', { retryable: true })
  let looks = 0
  Object.defineProperty(bus.driver, 'problem', { get: () => (++looks <= 4 ? away : undefined) })
  expect(await curl(`${url}/open`, '{}', {})).toMatchObject({ status: 202 })
  expect(looks).toBeGreaterThan(4)
})

test('no answer before the event is on the log, and no more requests at once than fit', async () => {
  const maxBytes = 1_000
  const { bus, url, stored } = await openTrigger({ endpoints, maxBytes })
  const gate = holdPublishes(bus)
  // 64 of the largest are all that fits: small ones of one client, and then one that is too many for another.
  const largest = JSON.stringify('x'.repeat(maxBytes - 2))
  const many = dial(url)
  many.write(Array.from({ length: 64 }, () => post(largest)).join(''))
  await until(() => gate.held === 64)
  expect(await curl(`${url}/open`, '{}', {})).toMatchObject({ status: 503, body: { error: { code: 'E_BUSY' } } })
  expect(many.bytesRead).toBe(0)
  gate.open()
  await answers(many, 64)
  expect((await curl(`${url}/open`, '{}', {})).status).toBe(202)
  expect(await stored()).toHaveLength(65)
})

test('no more small requests at once than fit', async () => {
  const { bus, url } = await openTrigger({ endpoints })
  const gate = holdPublishes(bus)
  const many = dial(url)
  many.write(Array.from({ length: 1_024 }, () => post('1')).join(''))
  await until(() => gate.held === 1_024, { within: 30_000 })
  const refused = await curl(`${url}/open`, '{}', {})
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 'E_BUSY' } } })
  expect(refused.headers).toContain('retry-after: 1')
  gate.open()
  await answers(many, 1_024)
})

test('a client that sends slowly, in part or not at all is disconnected', async () => {
  let asked = 0
  const handle = async (incoming: IncomingMessage) => {
    asked++
    await readBody(incoming, 1_000)
    return { status: 202 }
  }
  // Long enough for a complete request on a busy machine.
  const timeouts = { headersTimeout: 1_000, requestTimeout: 2_000, keepAliveTimeout: 1_000 }
  const { port, stop } = await startServer(handle, { port: 0, host: '127.0.0.1', redactor: plainRedactor }, timeouts)
  onTestFinished(() => stop())
  const url = `http://127.0.0.1:${port}`
  const whole = post('{}')
  const cut = ['', 'POST /hooks/o', whole.slice(0, -1), whole.replace('length: 2', 'length: 90')].map(start => {
    const socket = dial(url)
    socket.write(start)
    return received(socket)
  })
  const drip = dial(url)
  drip.write(whole.replace('length: 2', 'length: 900'))
  const dripping = setInterval(() => drip.write('x'), 50)
  onTestFinished(() => clearInterval(dripping))
  const idle = dial(url)
  idle.write(whole)
  const [answered, ...answers] = await Promise.all([received(idle), ...cut, received(drip)])
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1.1 408 .*"code":"E_REQUEST_INVALID"/s)
  // One that is idle after its answer is closed too.
  expect(answered).toMatch(/^HTTP\/1.1 202 /)
  expect(asked).toBe(4)
})

test('stop finishes open requests, and accepts no more', async () => {
  const { bus, running, url, stored } = await openTrigger({ endpoints })
  const { publish } = bus.driver
  const gate = Promise.withResolvers<void>()
  let held = false
  bus.driver.publish = async entries => {
    held = true
    await gate.promise
    return publish.call(bus.driver, entries)
  }
  const idle = dial(url)
  await once(idle, 'connect')
  const underWay = curl(`${url}/open`, '{}', {})
  await until(() => held)
  const stopped = running.stop()
  await expect(fetch(`${url}/open`, { method: 'POST' })).rejects.toThrow()
  gate.resolve()
  expect((await underWay).status).toBe(202)
  await stopped
  expect(await stored()).toHaveLength(1)
})

test('a client that does not finish does not delay a stop', async () => {
  const { running, url } = await openTrigger({ endpoints })
  const half = dial(url)
  half.write(post('{}').slice(0, -1))
  await once(half, 'connect')
  await running.stop(AbortSignal.timeout(50))
  await text(half).catch(() => {})
})

test('a port in use, or a missing one, is an error that names it', async () => {
  const { bus, url } = await openTrigger({ endpoints })
  const port = Number(new URL(url).port)
  await expect(webhook({ port, endpoints }).start(bus)).rejects.toMatchObject({
    code: 'E_PORT_IN_USE',
    message: expect.stringContaining(String(port)),
  })
  process.env.TIDINGS_WEBHOOK_PORT = '99999'
  onTestFinished(() => void delete process.env.TIDINGS_WEBHOOK_PORT)
  await expect(webhook({ endpoints }).start(bus)).rejects.toMatchObject({ code: 'E_SETTING_INVALID' })
  process.env.TIDINGS_WEBHOOK_PORT = '2581'
  expect(webhook({ endpoints }).address).toBe('http://127.0.0.1:2581/hooks')
})
