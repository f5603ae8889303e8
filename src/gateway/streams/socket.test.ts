import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'
import { startGateway } from '../../../test/lib/gateway.ts'
import { setLogger } from '../../bus/telemetry/log.ts'
import type { CloudEvent } from '../../event.ts'
import { until } from '../../testing/wait.ts'
import { WebHandler } from '../web-handler.ts'

interface Message {
  cursor?: string
  event?: CloudEvent<{ n: number } | null>
  signal?: CloudEvent
  error?: { code: string; message: string; next: string }
}

/** A WebSocket of the gateway, and what came of it. */
class Listener {
  readonly messages: Message[] = []
  readonly socket: WebSocket
  closed: { code: number; reason: string } | undefined

  constructor(url: string, query = '', options: ClientOptions = {}) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/events/socket${query}`, options)
    this.socket.on('message', data => this.messages.push(JSON.parse((data as Buffer).toString()) as Message))
    this.socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }))
    this.socket.on('error', () => {})
    onTestFinished(() => this.socket.terminate())
  }

  get connection(): Socket {
    return (this.socket as unknown as { _socket: Socket })._socket
  }

  get numbers() {
    return this.messages.flatMap(({ event }) => event?.data?.n ?? [])
  }

  get lastCursor() {
    return this.messages.findLast(({ cursor }) => cursor)?.cursor
  }

  async opened(): Promise<this> {
    await until(() => this.messages.length > 0)
    return this
  }

  async ended() {
    return until(() => this.closed)
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
const numbered = (from: number, to: number, more: object = {}) =>
  upTo(to)
    .slice(from)
    .map(n => ({ type: 'count.made', data: { n, ...more } }))

test('a socket carries what the stream does, one message for each event, and resumes after a cursor', async () => {
  const { bus, url } = await startGateway()
  await bus.publishAll(numbered(0, 3))
  const listener = await new Listener(url, '?after=0&type=count.*').opened()
  await bus.publishAll([...numbered(3, 5), { type: 'other.made', data: null }])
  await until(() => listener.numbers.length === 5)
  expect(listener.numbers).toEqual(upTo(5))
  expect(listener.messages.slice(0, 2)).toMatchObject([{ cursor: '~' }, { cursor: '1', event: { type: 'count.made' } }])
  const resumed = new Listener(url, `?after=${listener.messages[3]!.cursor}`)
  await until(() => resumed.numbers.length === 2)
  expect(resumed.numbers).toEqual([3, 4])
  await until(() => {
    bus.signal({ type: 'tool.progress', data: { n: 1 } })
    return resumed.messages.some(({ signal }) => signal?.type === 'tool.progress')
  })
})

test('messages are compressed once for all who can read them so, and are the same for others', async () => {
  const { bus, url } = await startGateway()
  const clients = await Promise.all(
    [{}, {}, { perMessageDeflate: { serverMaxWindowBits: 9 } }, { perMessageDeflate: false }].map(options =>
      new Listener(url, '', options).opened(),
    ),
  )
  const [first, second, small, plain] = clients as [Listener, Listener, Listener, Listener]
  expect(first.socket.extensions).toContain('permessage-deflate')
  expect([small.socket.extensions, plain.socket.extensions]).toEqual(['permessage-deflate', ''])
  const text = upTo(100_000).join(' ')
  for (const n of upTo(3)) await bus.publish({ type: 'count.made', data: { n, text } })
  for (const listener of clients) {
    await until(() => listener.numbers.length === 3)
    expect(listener.numbers).toEqual(upTo(3))
    expect(listener.messages.slice(1).map(({ event }) => event?.data)).toEqual(upTo(3).map(n => ({ n, text })))
  }
  for (const each of [plain, small]) expect(each.connection.bytesRead).toBeGreaterThan(3 * text.length)
  expect(first.connection.bytesRead).toBeLessThan((3 * text.length) / 2)
  expect(second.connection.bytesRead).toBe(first.connection.bytesRead)
})

test('what is wrong with the address is a message, because a browser cannot read an answer that refuses', async () => {
  const { url } = await startGateway({ maxStreams: 1 })
  for (const query of ['?type=A', '?after=x', '?after=99', '?user=', '?task=1', '?as=message', '?foo=1']) {
    const listener = new Listener(url, query)
    expect(await listener.ended()).toMatchObject({ code: 4400, reason: expect.any(String) })
    expect(listener.messages).toMatchObject([{ error: { code: 'E_REQUEST_INVALID', next: expect.any(String) } }])
  }
  await new Listener(url).opened()
  const refused = new Listener(url)
  expect(await refused.ended()).toMatchObject({ code: 4503 })
  expect(refused.messages).toMatchObject([{ error: { code: 'E_BUSY', retryable: true } }])
})

test('requests that are no WebSocket are told where to read', async () => {
  const { bus, url } = await startGateway()
  const handler = await WebHandler.open(bus, undefined)
  onTestFinished(() => handler.close())
  const mounted = new Request('http://localhost/events/socket', { headers: { upgrade: 'websocket' } })
  for (const answer of [await fetch(`${url}/events/socket`), await handler.fetch(mounted)])
    expect([answer.status, await answer.json()]).toMatchObject([
      426,
      { error: { code: 'E_REQUEST_INVALID', next: expect.stringContaining('GET /events/stream') } },
    ])
})

test('pages of other origins, other paths and broken handshakes get the answer of a request', async () => {
  const { url } = await startGateway()
  const statusOf = async (path: string, options: ClientOptions = {}) => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, options)
    socket.on('error', () => {})
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }]
    socket.terminate()
    return response.statusCode
  }
  expect(await statusOf('/events/socket', { origin: 'https://elsewhere.example' })).toBe(403)
  expect(await statusOf('/nowhere')).toBe(404)
  expect(await statusOf('/health')).toBe(200)
  const statusWith = async (path: string, more: Record<string, string>) => {
    const headers = { connection: 'upgrade', ...more }
    const [answer] = (await once(get(`${url}${path}`, { headers }), 'response')) as [IncomingMessage]
    return answer.resume().statusCode
  }
  const broken = { upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'short' }
  expect(await statusWith('/events/socket', broken)).toBe(400)
  expect(await statusWith('/health', { upgrade: 'h2c' })).toBe(200)
})

test('a client that sends something is told that it cannot, and a gateway that stops says so', async () => {
  const { url, gateway } = await startGateway()
  const [talking, large, quiet] = (await Promise.all(upTo(3).map(() => new Listener(url).opened()))) as [
    Listener,
    Listener,
    Listener,
  ]
  talking.socket.send('{"subscribe":"everything"}')
  large.socket.send('x'.repeat(100_000))
  expect(await talking.ended()).toMatchObject({ code: 1003, reason: expect.stringContaining('only sends') })
  expect(await large.ended()).toMatchObject({ code: 1009 })
  await gateway.stop()
  expect(await quiet.ended()).toMatchObject({ code: 1012, reason: expect.stringContaining('the gateway stops') })
})

test('heartbeats carry how far a quiet stream is, and a peer that does not answer them is disconnected', async () => {
  const { bus, url } = await startGateway({ heartbeatIntervalMs: 20 })
  const quiet = await new Listener(url, '?user=nobody').opened()
  const dead = await new Listener(url, '?user=nobody', { autoPong: false }).opened()
  await bus.publishAll(numbered(0, 5))
  await until(() => quiet.lastCursor === '5')
  expect(quiet.numbers).toEqual([])
  expect(await dead.ended()).toMatchObject({ code: 1006 })
  expect(quiet.closed).toBeUndefined()
})

test('a client that does not read is cut off and told why, harms nobody, and resumes where it was', async () => {
  const { bus, url } = await startGateway({ maxBufferedBytes: 64 * 1024, stallTimeoutMs: 300 })
  const cut: object[] = []
  setLogger({ warn: fields => void cut.push(fields) })
  onTestFinished(() => setLogger({}))
  const reading = await new Listener(url, '?after=0').opened()
  const stuck = await new Listener(url, '?after=0').opened()
  stuck.connection.pause()
  // Not compressible, and more than the buffers of the kernel hold.
  const random = () => Array.from({ length: 6_000 }, () => Math.floor(Math.random() * 36).toString(36)).join('')
  const total = 2_000
  for (let n = 0; n < total; n += 100) await bus.publishAll(numbered(n, n + 100, { filler: random() }))
  await until(() => reading.numbers.length === total, { within: 20_000 })
  expect(reading.numbers).toEqual(upTo(total))
  await until(() => cut.length > 0, { within: 20_000 })
  expect(cut).toMatchObject([{ reason: 'it read nothing for 300 ms' }])
  stuck.connection.resume()
  await stuck.ended()
  expect(cut).toHaveLength(1)
  expect(stuck.numbers.length).toBeLessThan(total)
  const resumed = new Listener(url, `?after=${stuck.lastCursor}`)
  await until(() => stuck.numbers.length + resumed.numbers.length >= total, { within: 20_000 })
  expect([...stuck.numbers, ...resumed.numbers]).toEqual(upTo(total))
})

test('a client that reads in time is told with a close code that it was too slow', async () => {
  const { bus, url } = await startGateway({ stallTimeoutMs: 200 })
  const slow = await new Listener(url, '?after=0', { perMessageDeflate: false }).opened()
  slow.connection.pause()
  const large = 'x'.repeat(7_000)
  const cut = new Promise<void>(resolve => setLogger({ warn: () => resolve() }))
  onTestFinished(() => setLogger({}))
  for (const n of upTo(20)) void bus.publishAll(numbered(n * 100, n * 100 + 100, { large }))
  await cut
  slow.connection.resume()
  expect(await slow.ended()).toMatchObject({ code: 1013, reason: expect.stringContaining('it read nothing') })
})

test('a gateway stops although a client does not read', async () => {
  const { bus, url, gateway } = await startGateway()
  const stuck = await new Listener(url, '?after=0', { perMessageDeflate: false }).opened()
  stuck.connection.pause()
  const large = 'x'.repeat(7_000)
  for (const n of upTo(20)) await bus.publishAll(numbered(n * 100, n * 100 + 100, { large }))
  const begun = performance.now()
  await gateway.stop()
  expect(performance.now() - begun).toBeLessThan(20_000)
})
