import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { CloudEvent } from '../../src/event.ts'
import type { TappedRequest, TappedResponse } from '../../src/bus/tapped-http.ts'
import { until } from '../../src/testing/wait.ts'
import { embeddedWorld, onAnyBus } from '../lib/world.ts'
import { listening } from './lib/listening.ts'
import { httpTapped, slowPublishes } from './lib/tapped.ts'
import { serving } from '../lib/serving.ts'

/** An HTTP service that answers with what it received. */
async function echoService() {
  const seen: IncomingMessage[] = []
  const server = createServer(
    serving(async (incoming, outgoing) => {
      seen.push(incoming)
      const body = Buffer.concat(await incoming.toArray())
      const { pathname } = new URL(incoming.url!, 'http://localhost')
      if (pathname === '/slow') return
      if (pathname === '/cut')
        return void outgoing.writeHead(200, { 'content-length': 10 }).write('abc', () => outgoing.destroy())
      outgoing.writeHead(pathname.startsWith('/reports') ? 201 : 200, [
        ['Content-Type', incoming.headers['content-type'] ?? 'text/plain'],
        ['Set-Cookie', 'session=abc'],
        ['Set-Cookie', 'other=def'],
        ['X-Request', '1'],
      ] as never)
      outgoing.end(body)
    }),
  )
  return { server, seen, url: await listening(server) }
}

interface Sent {
  method?: string
  headers?: Record<string, string>
  body?: Buffer | string
}

async function send(url: string, { method = 'GET', headers = {}, body }: Sent = {}) {
  const request = httpRequest(url, { method, headers, agent: false })
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { status: response.statusCode, raw: response.rawHeaders, body: Buffer.concat(await response.toArray()) }
}

const requestOf = (event: CloudEvent | undefined) => event!.data as TappedRequest
const responseOf = (event: CloudEvent | undefined) => event!.data as TappedResponse

onAnyBus(world => {
  test('a named route is recorded with what it takes to repeat it; others only pass', async () => {
    const { url: upstream } = await echoService()
    const { url, recorded } = await httpTapped(await world(), upstream, {
      routes: ['POST /reports/:kind'],
      userHeader: 'x-user',
      tenantHeader: 'x-tenant',
    })
    await send(`${url}/reports/yearly`)
    await send(`${url}/other`, { method: 'POST' })
    const headers = {
      'content-type': 'application/json', authorization: 'Bearer secret-1', cookie: 'session=secret-2', 'x-user': 'ann',
      'x-tenant': 'acme', 'x-tidings-correlation': 'order 7', 'x-api-key': 'secret-3',
    } // biome-ignore format: one table
    const body = '{ "year": 2026, "big": 12345678901234567890 }'
    const target = `${url}/reports/year%20ly?draft=1&tag=a&tag=b&access_token=secret-4`
    const answer = await send(target, { method: 'POST', headers, body })
    expect([answer.status, answer.body.toString()]).toEqual([201, body])
    const [request, response] = await recorded(/^http\./, 2)
    expect(request).toMatchObject({
      type: 'http.request', target: 'tap:test', subject: 'POST /reports/:kind', user: 'ann', tenant: 'acme',
      data: {
        method: 'POST', path: '/reports/year%20ly', route: 'POST /reports/:kind', params: { kind: 'year ly' },
        query: { draft: '1', tag: ['a', 'b'], access_token: '[redacted credential]' },
        body: { bytes: body.length, json: { year: 2026, big: '12345678901234567890' } },
      },
    }) // biome-ignore format: one event
    expect(Object.keys(requestOf(request).headers).toSorted()).toEqual([
      'connection', 'content-length', 'content-type', 'host', 'x-tenant', 'x-tidings-correlation', 'x-user',
    ]) // biome-ignore format: one line
    expect(response).toMatchObject({
      type: 'http.response', id: `${request!.id}:result`, call: request!.id, user: 'ann', tenant: 'acme',
      data: { status: 201, headers: { 'x-request': '1' }, body: { json: { year: 2026 } }, ms: expect.any(Number) },
    }) // biome-ignore format: one event
    expect(JSON.stringify([request, response])).not.toMatch(/secret-\d|session=/)
    expect(response!.correlationid).toBe(request!.correlationid)
  })
})

test('the response is passed on when the request is on the log', async () => {
  const { url: upstream } = await echoService()
  const { url, bus, recorder } = await httpTapped(await embeddedWorld(), upstream, { routes: ['/*'] })
  const published = slowPublishes(bus)
  const response = await fetch(url)
  // On a machine that is busy the hold may end before the log has answered.
  if (recorder.status.late === 0) expect(published).toEqual(['http.request'])
  await response.text()
})

test('each kind of body has its form, and what is too large its digest', async () => {
  const { url: upstream } = await echoService()
  const { url, bus, recorded } = await httpTapped(await embeddedWorld(), upstream, {
    routes: ['/reports/*'],
    maxBodyBytes: 1_000,
  })
  const deep = '['.repeat(100) + ']'.repeat(100)
  const bodies: [type: string, body: Buffer | string, headers?: Record<string, string>][] = [
    ['application/x-www-form-urlencoded', 'a=1&b=2&b=3'],
    ['text/plain; charset=utf-8', 'grüezi'],
    ['application/json', '{"broken'],
    ['application/json', deep],
    ['application/octet-stream', Buffer.from([0, 255, 1])],
    ['application/json', gzipSync('{"packed":true}'), { 'content-encoding': 'gzip' }],
    ['text/plain', 'x'.repeat(2_000)],
    ['text/plain', gzipSync('x'.repeat(100_000)), { 'content-encoding': 'gzip' }],
    ['application/json', ''],
  ]
  for (const [i, [type, body, headers]] of bodies.entries()) {
    const answer = await send(`${url}/reports/${i}`, {
      method: 'PUT',
      headers: { 'content-type': type, ...headers },
      body,
    })
    expect(answer.body.equals(Buffer.from(body))).toBe(true)
  }
  const events = await recorded(/^http\./, 2 * bodies.length)
  const exchanges = events
    .filter(({ type }) => type === 'http.request')
    .toSorted((a, b) => requestOf(a).path.localeCompare(requestOf(b).path))
    .map(request => [requestOf(request).body, responseOf(events.find(({ call }) => call === request.id)).body])
  const requests = exchanges.map(([body]) => body)
  expect(requests).toMatchObject([
    { form: { a: '1', b: ['2', '3'] } },
    { text: 'grüezi', bytes: 7 },
    { text: '{"broken' },
    { text: deep },
    { blob: expect.stringMatching(/^sha256-/) },
    { json: { packed: true } },
    { bytes: 2_000, sha256: expect.any(String) },
    { sha256: expect.any(String) },
    undefined,
  ])
  expect(requests[6]).not.toHaveProperty('text')
  expect([...(await bus.getBlob('default', requests[4]!.blob!))]).toEqual([0, 255, 1])
  expect(exchanges[4]![1]).toEqual(requests[4])
})

test('an exchange that is cut short says so', async () => {
  const { url: upstream, seen } = await echoService()
  const options = { routes: ['/cut', '/slow'] }
  const { url, recorded } = await httpTapped(await embeddedWorld(), upstream, options)
  await expect(send(`${url}/cut`)).rejects.toThrow()
  const abort = new AbortController()
  const slow = fetch(`${url}/slow`, { signal: abort.signal }).catch(() => 'aborted')
  await until(() => seen.length === 2)
  abort.abort()
  expect(await slow).toBe('aborted')
  const gone = await httpTapped(await embeddedWorld(), 'http://127.0.0.1:9', options)
  expect((await send(`${gone.url}/slow`)).status).toBe(502)
  const ends = [...(await recorded(/^http\.response$/, 2)), ...(await gone.recorded(/^http\.response$/, 1))]
  expect(ends.map(responseOf).toSorted((a, b) => (b.status ?? 0) - (a.status ?? 0))).toMatchObject([
    { status: 200, error: { code: 'E_TAP_UPSTREAM' } },
    { error: { code: 'E_TAP_CANCELLED' } },
    { error: { code: 'E_TAP_UPSTREAM' } },
  ])
})

test('WebSockets pass unrecorded', async () => {
  const { server, url: upstream } = await echoService()
  const sockets = new WebSocketServer({
    server,
    path: '/live',
    verifyClient: ({ req }, done) => done(req.url !== '/live?no', 403),
  })
  sockets.on('connection', socket => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
  onTestFinished(() => sockets.close())
  const { url, bus } = await httpTapped(await embeddedWorld(), upstream, { routes: ['/*'] })
  const address = url.replace('http', 'ws')
  const socket = new WebSocket(`${address}/live`)
  await once(socket, 'open')
  const message = Buffer.alloc(300_000, 'abc')
  socket.send(message)
  const [received] = (await once(socket, 'message')) as [Buffer]
  expect(received.equals(message)).toBe(true)
  socket.close()
  await once(socket, 'close')
  const refused = new WebSocket(`${address}/live?no`)
  const [error] = (await once(refused, 'error')) as [Error]
  expect(error.message).toContain('403')
  expect(await Array.fromAsync(bus.read({}))).toEqual([])
})
