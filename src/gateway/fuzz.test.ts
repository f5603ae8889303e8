import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fuzzed, timeout } from '../../test/lib/fuzz.ts'
import { errors } from '../errors.ts'
import { startGateway } from './gateway.ts'

/* Whatever comes is answered with a typed error. */

const maxBodyBytes = 20_000
const { dial, each } = fuzzed(async bus => {
  const gateway = await startGateway({ bus, port: 0, maxBodyBytes })
  const { url } = gateway
  return { address: url, stop: () => gateway.stop() }
})

/** Sends bytes, ends its side, and returns everything that comes back. */
async function exchange(bytes: Buffer): Promise<string> {
  const socket = dial()
  // The gateway may close before it has read everything.
  socket.end(bytes)
  return text(socket)
}

const post = (body: Buffer, headers: Record<string, string> = {}) => {
  const lines = Object.entries({
    host: 'localhost',
    'content-type': 'application/json',
    connection: 'close',
    ...headers,
  })
  const head = [
    'POST /events HTTP/1.1',
    ...lines.map(([name, value]) => `${name}: ${value}`),
    `content-length: ${body.length}`,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body])
}

const get = (path: string, headers: Record<string, string> = {}) => {
  const lines = Object.entries({ host: 'localhost', connection: 'close', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
}

async function refuses(bytes: Buffer): Promise<void> {
  const answer = await exchange(bytes)
  const [head, body] = [answer.slice(0, answer.indexOf('\r\n\r\n')), answer.slice(answer.indexOf('\r\n\r\n') + 4)]
  expect(head).toMatch(/^HTTP\/1\.1 4\d\d /)
  const { error } = JSON.parse(body.split('HTTP/1.1')[0]!) as { error: { code: string; message: string; next: string } }
  expect(Object.keys(errors)).toContain(error.code)
  expect(error.message).not.toBe('')
  expect(error.next).not.toBe('')
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const isObject = (value: unknown) => typeof value === 'object' && value !== null

const notJson = fc
  .oneof(
    fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)),
    fc.string({ unit: 'binary' }).map(s => Buffer.from(s)),
  )
  .filter(bytes => !parses(bytes))
const cut = fc.jsonValue().chain(value => {
  const whole = Buffer.from(JSON.stringify({ type: 'a.b', data: value }))
  return fc.integer({ min: 0, max: whole.length - 1 }).map(end => whole.subarray(0, end))
})
const noEvent = fc
  .jsonValue()
  .filter(value => !(isObject(value) && 'type' in (value as object)))
  .map(json)
const deep = fc
  .integer({ min: 70, max: 4_000 })
  .map(depth => Buffer.from(`{"type":"a.b","data":${'['.repeat(depth)}${']'.repeat(depth)}}`))
const polluting = fc.constantFrom('{"type":"a.b","data":{"__proto__":{"x":1}}}', '{"type":"a.b","__proto__":{"x":1}}',
  '{"type":"a.b","data":[{"constructor":{"prototype":{}}}]}', '{"type":"a.b","constructor":1}', '{"type":"a.b","toString":1}',
).map(text => Buffer.from(text)) // biome-ignore format: one list
const longOrOdd = fc.oneof(
  fc.string({ minLength: 257, maxLength: 400 }),
  fc.constantFrom('', 'a\nb', 'a\u0000', '\u007f'),
)
const noText = fc.jsonValue().filter(value => typeof value !== 'string')
const badAttribute = fc.oneof(
  fc.tuple(fc.constantFrom('id', 'source', 'subject', 'causationid', 'target'), fc.oneof(longOrOdd, noText)),
  fc.tuple(
    fc.constantFrom('correlationid', 'time', 'traceparent', 'specversion', 'datacontenttype'),
    fc.oneof(longOrOdd, noText, fc.string()),
  ),
  fc.tuple(
    fc.constant('type'),
    fc.oneof(
      noText,
      fc.string().filter(s => !/^[a-z]/.test(s)),
      fc.constantFrom('task.turn', 'tool.result', 'control.x'),
    ),
  ),
  fc.tuple(fc.constantFrom('tenant', 'user', 'hops', 'call', 'replyto', 'deadline', 'dataref'), fc.jsonValue()),
  fc.tuple(
    fc.string().filter(name => !attributes.has(name)),
    fc.jsonValue(),
  ),
)
const attributes = new Set([
  'specversion',
  'id',
  'source',
  'type',
  'time',
  'subject',
  'datacontenttype',
  'correlationid',
  'causationid',
  'target',
  'traceparent',
  'data',
])
const badEvent = badAttribute.map(
  ([name, value]) =>
    Object.fromEntries([
      ['type', 'a.b'],
      ['data', null],
      [name, value],
    ]) as object,
)
const badBatch = fc.tuple(badEvent, fc.nat(5)).map(([bad, good]) => [...Array<object>(good).fill({ type: 'a.b' }), bad])
const tooLarge = fc
  .integer({ min: maxBodyBytes, max: 3 * maxBodyBytes })
  .map(size => json({ type: 'a.b', data: 'x'.repeat(size) }))

function parses(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString())
    return true
  } catch {
    return false
  }
}

test('bodies that are no event', { timeout }, async () => {
  const bodies = fc.oneof(notJson, cut, noEvent, deep, polluting, badEvent.map(json), badBatch.map(json), tooLarge)
  await each(
    bodies.map(body => post(body)),
    0.6,
    refuses,
  )
})

test('requests that are none of the gateway', { timeout }, async () => {
  const good = json({ type: 'a.b' })
  const word = fc.string({
    unit: fc.constantFrom(...Array.from('abcxyz019-_./%?=&*>[]:')),
    minLength: 1,
    maxLength: 40,
  })
  const requests = fc.oneof(
    word.filter(type => !type.startsWith('application/')).map(type => post(good, { 'content-type': type })),
    word.filter(host => !/^(localhost|127\.\d|\[::1)/.test(host)).map(host => post(good, { host })),
    word.map(origin => post(good, { origin })),
    // The root leads to the console.
    word.filter(path => new URL(`http://localhost/${path}`).pathname !== '/').map(path => get(`/${path}`)),
    word
      .filter(type => !/^[a-z*>]/.test(type) || /[%?=&[\]:/]/.test(type))
      .map(type => get(`/events/stream?type=${encodeURIComponent(type)}`)),
    word.map(id => get(`/events/stream?correlation=${encodeURIComponent(id)}`)),
    word.filter(id => !/^0+$/.test(id)).map(id => get('/events/stream', { 'last-event-id': id })),
    word.map(name => get(`/events/stream?x${encodeURIComponent(name)}=1`)),
    fc
      .constantFrom('PUT', 'DELETE', 'PATCH', 'OPTIONS')
      .map(method => Buffer.from(`${method} /events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`)),
  )
  await each(requests, 0.2, refuses)
})

test('bytes that are no HTTP, or do not come to their end', { timeout }, async () => {
  const head = 'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n'
  const requests = fc.oneof(
    fc
      .uint8Array({ minLength: 1, maxLength: 200 })
      .map(bytes => Buffer.concat([Buffer.from('\u0001'), bytes, Buffer.from('\r\n\r\n')])),
    fc
      .uint8Array({ minLength: 1, maxLength: 100 })
      .map(bytes => Buffer.concat([Buffer.from(`${head}transfer-encoding: chunked\r\n\r\nzz`), bytes])),
    fc
      .integer({ min: 1, max: 20 })
      .map(missing => Buffer.from(`${head}content-length: ${12 + missing}\r\n\r\n{"type":"a.b"`)),
    fc.integer({ min: 20_000, max: 60_000 }).map(size => Buffer.from(`${head}x-long: ${'x'.repeat(size)}\r\n\r\n`)),
    fc
      .nat(head.length - 1)
      .map(end => Buffer.from(head.slice(0, end + 1)))
      .filter(bytes => bytes.length > 0),
    fc.constant(Buffer.from(`${head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`)),
    fc.constant(Buffer.from('POST /events HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')),
  )
  await each(requests, 0.2, refuses)
})
