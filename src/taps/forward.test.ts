import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test, vi } from 'vitest'
import { until } from '../testing/wait.ts'
import { Forwarder, type ForwardEnd, type ForwardListener } from './forward.ts'
import { refusalOf, upstreamOf } from './upstream.ts'

/* A client, the forwarder in a server, and an upstream, over real sockets. */

async function listening(server: http.Server | net.Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void ('closeAllConnections' in server ? server.close().closeAllConnections() : server.close()))
  return (server.address() as AddressInfo).port
}

const unreachable: ForwardListener = { unreachableResponse: ({ message }) => ({ status: 502, body: { message } }) }

/** The port of a forwarder in front of a port, and how its exchanges ended. */
async function tapOf(
  upstreamPort: number,
  listener: Partial<ForwardListener> = {},
  upstream = `http://127.0.0.1:${upstreamPort}`,
) {
  const forwarder = new Forwarder(upstreamOf(upstream))
  const ends: ForwardEnd[] = []
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse) =>
    forwarder.forward(incoming, outgoing, { ...unreachable, ...listener, onEnd: end => void ends.push(end) })
  const server = http.createServer(handle)
  server.on('checkContinue', handle)
  onTestFinished(() => forwarder.close())
  return { port: await listening(server), ends }
}

const upstreamOn = (listener: RequestListener) => listening(http.createServer(listener))

/** What comes back on a socket for these bytes, until the other side closes it. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(bytes, 'latin1')
  socket.on('error', () => {})
  let received = ''
  for await (const chunk of socket.setEncoding('latin1')) received += chunk
  return received
}

test('passes on the head of a request and of its response, but what concerns one connection', async () => {
  const seen: IncomingMessage[] = []
  const upstream = await upstreamOn((incoming, outgoing) => {
    seen.push(incoming)
    outgoing.sendDate = false
    outgoing.writeHead(299, 'Quite Good', ['X-One', 'a', 'x-one', 'b', 'Set-Cookie', 'k=v', 'X-Name', '\u00e9'])
    outgoing.end('ok')
  })
  const tap = await tapOf(upstream)
  const head = [
    'PATCH /a%2Fb/../c?q=1&q=%20 HTTP/1.1', 'host: somewhere', 'X-Mixed-CASE: 1', 'x-dup: a', 'X-DUP: b',
    'Connection: close, X-Hop', 'X-Hop: 1', 'Content-Length: 3',
  ] // biome-ignore format: one list
  const response = await raw(tap.port, `${head.join('\r\n')}\r\n\r\nabc`)
  expect(seen[0]!.method).toBe('PATCH')
  expect(seen[0]!.url).toBe('/a%2Fb/../c?q=1&q=%20')
  expect(seen[0]!.rawHeaders).toEqual(
    ['host', `127.0.0.1:${upstream}`, 'X-Mixed-CASE', '1', 'x-dup', 'a', 'X-DUP', 'b', 'Content-Length', '3',
      'Connection', 'keep-alive'],
  ) // biome-ignore format: pairs
  expect(response.split('\r\n').slice(0, 5)).toEqual(
    ['HTTP/1.1 299 Quite Good', 'X-One: a', 'x-one: b', 'Set-Cookie: k=v', 'X-Name: \u00e9'],
  ) // biome-ignore format: one list
  expect(response).not.toMatch(/^date:/im)
  expect(tap.ends).toEqual([{ kind: 'complete' }])
})

test('passes on bodies of any size and their trailers, in both directions', async () => {
  const upstream = await upstreamOn((incoming, outgoing) => {
    outgoing.writeHead(200, { trailer: 'x-sum' })
    incoming.on('data', chunk => void outgoing.write(chunk))
    incoming.on('end', () => {
      outgoing.addTrailers({ 'x-sum': incoming.trailers['x-sent'] ?? 'none' })
      outgoing.end()
    })
  })
  const tap = await tapOf(upstream)
  const body = Buffer.alloc(20 * 1024 * 1024, 'tap ')
  const request = http.request({ port: tap.port, method: 'POST', headers: { trailer: 'x-sent' } })
  request.write(body.subarray(0, 1_000))
  request.write(body.subarray(1_000))
  request.addTrailers({ 'x-sent': 'yes' })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect((await response.toArray()).reduce((sum, chunk: Buffer) => sum + chunk.length, 0)).toBe(body.length)
  expect(response.trailers).toEqual({ 'x-sum': 'yes' })
})

test('sends each chunk when it comes, after the listener has let the head go', async () => {
  const gate = Promise.withResolvers<void>()
  const sent = new Set<ServerResponse>()
  const upstream = await upstreamOn((_, outgoing) => {
    sent.add(outgoing)
    outgoing.write('one')
  })
  const tap = await tapOf(upstream, { onResponse: () => gate.promise })
  const request = http.get({ port: tap.port })
  let hasAnswer = false
  request.on('response', () => (hasAnswer = true))
  await until(() => sent.size === 1)
  expect(hasAnswer).toBe(false)
  gate.resolve()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect(String((await once(response, 'data'))[0])).toBe('one')
  for (const outgoing of sent) outgoing.write('two')
  expect(String((await once(response, 'data'))[0])).toBe('two')
  for (const outgoing of sent) outgoing.end()
  await once(response, 'end')
})

test('an abort of the client aborts the request to the upstream', async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const upstream = await upstreamOn((_, outgoing) => {
    outgoing.on('close', resolve)
    outgoing.write('begun')
  })
  const tap = await tapOf(upstream)
  const request = http.get({ port: tap.port })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  request.destroy()
  await closed
  await until(() => tap.ends.length === 1)
  expect(tap.ends).toEqual([{ kind: 'aborted' }])
})

test('a response that breaks off breaks off for the client, after what came before, also while its head is held back', async () => {
  const cut = Promise.withResolvers<void>()
  const upstream = await upstreamOn((_, outgoing) => {
    outgoing.writeHead(200, { 'content-length': 100 }).write('begun')
    setTimeout(() => outgoing.socket!.end(() => setTimeout(cut.resolve, 20)), 20)
  })
  const taps = [await tapOf(upstream), await tapOf(upstream, { onResponse: () => cut.promise })]
  for (const tap of taps) {
    const response = await raw(tap.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(response).toMatch(/^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nbegun$/)
    await until(() => tap.ends.length === 1)
    expect(tap.ends[0]!.kind).toBe('cut')
  }
})

test('an upstream that cannot be reached gives the response of the listener', async () => {
  const closed = net.createServer()
  const port = await listening(closed)
  await new Promise(done => closed.close(done))
  const tap = await tapOf(port)
  const response = await fetch(`http://127.0.0.1:${tap.port}/`, { method: 'POST', body: 'x' })
  expect([response.status, await response.text()]).toEqual([502, expect.stringContaining('ECONNREFUSED')])
  expect(tap.ends[0]!.kind).toBe('unreachable')
})

test('an upstream that breaks off before it answers is a broken connection for the client', async () => {
  const upstream = await upstreamOn(incoming => void incoming.socket.destroy())
  const tap = await tapOf(upstream)
  expect(await raw(tap.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('')
  expect(tap.ends.map(({ kind }) => kind)).toEqual(['unreachable'])
})

test('100 Continue comes from the upstream', async () => {
  const server = http.createServer((_, outgoing) => void outgoing.end('refused'))
  server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    if (incoming.headers['x-refuse']) return void outgoing.writeHead(413).end()
    outgoing.writeContinue()
    void text(incoming).then(body => outgoing.end(`got ${body}`))
  })
  const tap = await tapOf(await listening(server))
  const send = async (headers: http.OutgoingHttpHeaders) => {
    const request = http.request({ port: tap.port, method: 'POST', headers: { expect: '100-continue', ...headers } })
    let isContinued = false
    request.on('continue', () => {
      isContinued = true
      request.end('body')
    })
    request.on('error', () => {})
    request.flushHeaders()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const body = await text(response)
    request.destroy()
    return [isContinued, response.statusCode, body]
  }
  expect(await send({})).toEqual([true, 200, 'got body'])
  expect(await send({ 'x-refuse': '1' })).toEqual([false, 413, ''])
})

test('HEAD, 204, 304 and a POST without a body keep their shape', async () => {
  const seen: http.IncomingHttpHeaders[] = []
  const upstream = await upstreamOn((incoming, outgoing) => {
    seen.push(incoming.headers)
    if (incoming.url === '/304') return void outgoing.writeHead(304, { etag: '"a"' }).end()
    if (incoming.url === '/204') return void outgoing.writeHead(204).end()
    outgoing.writeHead(200, { 'content-length': '5' }).end('hello')
  })
  const tap = await tapOf(upstream)
  const at = (path: string, method: string) =>
    raw(tap.port, `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  expect(await at('/', 'HEAD')).toMatch(/content-length: 5[^]*\r\n\r\n$/)
  expect(await at('/204', 'GET')).toMatch(/^HTTP\/1.1 204 No Content\r\n[^]*\r\n\r\n$/)
  expect(await at('/304', 'GET')).toMatch(/^HTTP\/1.1 304 [^]*etag: "a"/)
  expect(await at('/', 'POST')).toMatch(/hello$/)
  expect(seen.at(-1)).toMatchObject({ 'content-length': '0' })
})

test('an upstream that is not on this machine is reached through the proxy of the environment', async () => {
  const seen: (string | undefined)[] = []
  const proxy = await upstreamOn((incoming, outgoing) => {
    seen.push(incoming.url)
    outgoing.end('through the proxy')
  })
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy}`)
  onTestFinished(() => void vi.unstubAllEnvs())
  const tap = await tapOf(80, {}, 'http://service.example')
  expect(await raw(tap.port, 'GET /a?b=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
    /through the proxy$/,
  )
  expect(seen).toEqual(['http://service.example/a?b=1'])
  const direct = await tapOf(await upstreamOn((_, outgoing) => outgoing.end('direct')))
  expect(await raw(direct.port, 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(/direct$/)
})

test('only paths below that of the upstream are forwarded', () => {
  const below = upstreamOf('https://api.example.com/v1/')
  const refused = (target: string) => refusalOf(target, below) !== undefined
  expect(['/v1', '/v1/chat?x=../..', '/v1/a..b/.c'].map(refused)).toEqual([false, false, false])
  const others = [
    'http://evil/v1/x',
    '//evil/v1',
    '*',
    '/v2',
    '/v1x',
    '/v1/../admin',
    '/v1/%2E%2e/x',
    '/v1/a%2f..%2fb',
    '/v1/..\\x',
  ]
  expect(others.filter(target => !refused(target))).toEqual([])
  expect(refusalOf('/any/../thing', upstreamOf('http://localhost:1'))).toBeUndefined()
})

test.each(['nowhere', 'ftp://host', 'https://user:secret@host', 'https://host/v1?key=secret'])(
  'the upstream %s is refused, without its password',
  text => {
    let error: unknown
    try {
      upstreamOf(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code: 'E_SETTING_INVALID' })
    expect(String(error)).not.toContain('user:secret')
  },
)
