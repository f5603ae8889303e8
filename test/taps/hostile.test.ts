import { once } from 'node:events'
import http, { type IncomingMessage, type RequestListener } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../../src/testing/wait.ts'
import { serving } from '../lib/serving.ts'
import { listening } from './lib/listening.ts'
import { proxyOf } from './lib/tapped.ts'
import { unreachableResponse } from '../../src/taps/proxy.ts'

/* What clients and servers send that nobody should send, or that few do, through a real tap. */

const forwardOnly = { observe: () => ({ unreachableResponse }) }

async function tapInFrontOf(listener: RequestListener) {
  return (await proxyOf(forwardOnly, await listening(http.createServer(listener)))).port
}

/** A server that answers each connection with these bytes, whatever comes. */
async function answering(bytes: string): Promise<string> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(bytes, 'latin1'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What comes back for these bytes, until there is what is wanted, or the other side closes the connection. */
async function raw(port: number, bytes: string, wanted = /[^]\r\n\r\n[^]*done$/): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  let received = ''
  let isClosed = false
  socket
    .setEncoding('latin1')
    .on('data', chunk => (received += chunk))
    .on('error', () => {})
    .on('close', () => (isClosed = true))
  socket.write(bytes, 'latin1')
  await until(() => isClosed || wanted.test(received), {
    within: 5_000,
    what: `an answer to ${bytes.slice(0, 60)}, got ${received}`,
  })
  return received
}

const echoed = serving(async (incoming, outgoing) => {
  const body = await text(incoming)
  outgoing.end(`${JSON.stringify({ url: incoming.url, headers: incoming.rawHeaders, body })}done`)
})

test.each([
  ['GET', '', 'h2c of the HTTP client of Java'],
  ['POST', 'ten  bytes', 'with a body'],
])('a %s that offers another protocol than WebSocket is forwarded as it is: %s', async (method, body) => {
  const port = await tapInFrontOf(echoed)
  const head = [
    `${method} /v1/chat/completions HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk',
    `Content-Length: ${body.length}`,
  ] // biome-ignore format: one list
  const answer = await raw(port, `${head.join('\r\n')}\r\n\r\n${body}`)
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(answer).toContain(`"body":"${body}"`)
  expect(answer).not.toMatch(/h2c/i)
})

test('a client cannot have headers dropped that say where a request goes, and where it ends', async () => {
  const port = await tapInFrontOf(echoed)
  const head = [
    'POST /x HTTP/1.1',
    'Host: 127.0.0.1',
    'Connection: close, Host, Content-Length, X-Hop',
    'X-Hop: 1',
    'Content-Length: 4',
  ]
  const answer = await raw(port, `${head.join('\r\n')}\r\n\r\nbody`)
  expect(answer).toContain('"body":"body"')
  expect(answer).toMatch(/"Content-Length","4"/)
  expect(answer).not.toMatch(/chunked"|X-Hop/)
})

test.each([
  ['two lengths', 'Content-Length: 4\r\nContent-Length: 5'],
  ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked'],
  ['an unknown coding', 'Transfer-Encoding: gzip, chunked'],
  ['a space before the colon', 'Content-Length : 4'],
  ['a folded line', 'X-A: 1\r\n Content-Length: 9'],
])('a request whose end is ambiguous reaches nobody: %s', async (_, header) => {
  let requests = 0
  const port = await tapInFrontOf((_, outgoing) => {
    requests++
    outgoing.end('done')
  })
  const answer = await raw(
    port,
    `POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${header}\r\n\r\n4\r\nbody\r\n0\r\n\r\n`,
  )
  expect([answer.slice(9, 10), requests]).toEqual(['4', 0])
})

test.each([
  ['a status below 100', 'HTTP/1.1 099 Low\r\nContent-Length: 4\r\n\r\ndone'],
  [
    'another protocol that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
  ],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['a header with a control character', 'HTTP/1.1 200 OK\r\nX-A: a\u0001b\r\nContent-Length: 4\r\n\r\ndone'],
  ['nothing', ''],
])('a server that answers with %s ends the call of the client, and not the tap', async (_, bytes) => {
  const { port } = await proxyOf(forwardOnly, await answering(bytes))
  expect(await raw(port, 'GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')).not.toContain('done')
})

test('a refused WebSocket has the response of the server, whole', async () => {
  const server = http.createServer((_, outgoing) => outgoing.writeHead(404).write('not here, '))
  server.on('upgrade', (_, socket) =>
    socket.end(
      'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\ndone\r\n0\r\n\r\n',
    ),
  )
  const { port } = await proxyOf(forwardOnly, await listening(server))
  const request = http.get({ port, headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x' } })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect([response.statusCode, await text(response)]).toEqual([401, 'done'])
})

test('the status of a tap is for this machine only', async () => {
  const proxy = await proxyOf({ ...forwardOnly, status: () => ({ tap: 'desk' }) }, 'http://127.0.0.1:9')
  const get = (host: string) =>
    raw(proxy.port, `GET /.tidings/status HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  expect(await get('127.0.0.1')).toContain('desk')
  expect(await get('evil.example')).not.toContain('desk')
})
