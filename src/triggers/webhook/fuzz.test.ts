import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { fuzzed, timeout } from '../../../test/lib/fuzz.ts'
import { secrets, signedBy } from '../../../test/lib/webhook.ts'
import { errors } from '../../errors.ts'
import { webhook } from './webhook.ts'

/*
 * Whatever comes: a typed refusal, or the connection is closed, and a good request is taken afterwards as before.
 */

const maxBytes = 20_000
const body = '{"id":"evt_1","type":"order.paid"}'

const { address, dial, each } = fuzzed(bus => {
  const endpoints = {
    standard: { secret: secrets.standard },
    github: { scheme: 'github' as const, secret: secrets.github },
    stripe: { scheme: 'stripe' as const, secret: secrets.stripe },
  }
  return webhook({ port: 0, maxBytes, endpoints }).start(bus)
})

afterAll(async () => {
  const headers = { ...(await signedBy.standard(body)), 'content-type': 'application/json' }
  expect((await fetch(`${address()}/standard`, { method: 'POST', headers, body })).status).toBe(202)
})

/** Sends bytes, and returns everything that comes back until the connection is closed. */
async function exchange(bytes: Buffer, isEnd: boolean): Promise<string> {
  const socket = dial()
  if (isEnd) socket.end(bytes)
  else socket.write(bytes)
  return text(socket)
}

type Headers = Record<string, string>

function request(path: string, headers: Headers, content: Buffer | string, method = 'POST'): Buffer {
  const all = { host: 'x', connection: 'close', 'content-type': 'application/json', ...headers }
  const lines = Object.entries({ ...all, 'content-length': `${Buffer.byteLength(content)}` })
  const head = [`${method} ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`)].join('\r\n')
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), Buffer.from(content)])
}

async function refuses(bytes: Buffer): Promise<void> {
  const answer = await exchange(bytes, false)
  expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
  const { error } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as {
    error: { code: string; next: string }
  }
  expect(Object.keys(errors)).toContain(error.code)
  for (const secret of Object.values(secrets)) expect(answer).not.toContain(secret)
}

// What may stand in a header: visible characters and blanks within, of Latin-1.
const value = fc
  .string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter(c => c !== 0x7f)
      .map(c => String.fromCharCode(c)),
    maxLength: 80,
  })
  .map(some => some.trim())
const time = fc.oneof(
  fc.integer({ min: -5, max: 5 }).map(off => `${Math.floor(Date.now() / 1_000) + off}`),
  fc.constantFrom('0', '-1', '1e9', 'NaN', '99999999999999999999', ' ', '0x10', ''),
  value,
)
const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(some => Buffer.from(some).toString('hex'))
const base64 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(some => Buffer.from(some).toString('base64'))
const many = (one: fc.Arbitrary<string>, by: string) => fc.array(one, { maxLength: 40 }).map(list => list.join(by))

const signatures: fc.Arbitrary<[string, Headers]> = fc.oneof(
  fc
    .tuple(
      value,
      time,
      fc.oneof(
        value,
        many(
          base64.map(some => `v1,${some}`),
          ' ',
        ),
        many(value, ' v1,'),
      ),
    )
    .map(([id, at, sig]): [string, Headers] => [
      '/hooks/standard',
      { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': sig },
    ]),
  fc
    .tuple(
      value,
      fc.oneof(
        value,
        hex.map(some => `sha256=${some}`),
        hex.map(some => `sha1=${some}`),
      ),
    )
    .map(([id, sig]): [string, Headers] => ['/hooks/github', { 'x-github-delivery': id, 'x-hub-signature-256': sig }]),
  fc
    .tuple(
      time,
      fc.oneof(
        value,
        many(
          hex.map(some => `v1=${some}`),
          ',',
        ),
        many(value, ',v1='),
      ),
    )
    .map(([at, sig]): [string, Headers] => ['/hooks/stripe', { 'stripe-signature': `t=${at},${sig}` }]),
)

test('signatures that are none', { timeout }, async () => {
  const content = fc.oneof(
    fc.constant(body),
    fc.uint8Array({ maxLength: 200 }).map(some => Buffer.from(some)),
  )
  await each(
    fc.tuple(signatures, content).map(([[path, headers], bytes]) => request(path, headers, bytes)),
    0.5,
    refuses,
  )
})

test('good signatures of something else', { timeout }, async () => {
  const good = await signedBy.standard(body)
  const changed = fc.oneof(
    fc.tuple(fc.nat(body.length - 1), fc.integer({ min: 1, max: 127 })).map(([at, bits]) => {
      const bytes = Buffer.from(body)
      bytes[at]! ^= bits
      return bytes
    }),
    fc.nat(body.length - 1).map(end => Buffer.from(body.slice(0, end))),
    fc.uint8Array({ minLength: 1, maxLength: 50 }).map(more => Buffer.concat([Buffer.from(body), more])),
    fc.integer({ min: maxBytes + 1, max: 3 * maxBytes }).map(size => Buffer.alloc(size, body)),
  )
  await each(
    changed.map(bytes => request('/hooks/standard', good, bytes)),
    0.2,
    refuses,
  )
})

test('paths, methods and codings that are none of the trigger', { timeout }, async () => {
  const good = await signedBy.standard(body)
  const word = fc.string({ unit: fc.constantFrom(...Array.from('abcxyz019-_./%?=&*:')), minLength: 1, maxLength: 40 })
  const requests = fc.oneof(
    word.map(path => request(`/${path}`, good, body)),
    word.map(path => request(`/hooks/${path}`, good, body)),
    word
      .filter(coding => coding !== 'identity')
      .map(coding => request('/hooks/standard', { ...good, 'content-encoding': coding }, body)),
    fc
      .constantFrom('PUT', 'DELETE', 'PATCH', 'GET', 'OPTIONS', 'PROPFIND')
      .map(method => request('/hooks/standard', good, body, method)),
  )
  await each(requests, 0.15, refuses)
})

test('bytes that are no HTTP, or do not come to their end', { timeout }, async () => {
  const head = 'POST /hooks/standard HTTP/1.1\r\nhost: x\r\nconnection: close\r\n'
  const latin = (some: string) => Buffer.from(some, 'latin1')
  const requests = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 300 }).map(bytes => Buffer.from(bytes)),
    fc.nat(head.length - 1).map(end => latin(head.slice(0, end))),
    fc
      .uint8Array({ minLength: 1, maxLength: 100 })
      .map(bytes => Buffer.concat([latin(`${head}transfer-encoding: chunked\r\n\r\nzz`), bytes])),
    fc
      .integer({ min: 1, max: 90 })
      .map(missing => latin(`${head}content-length: ${body.length + missing}\r\n\r\n${body}`)),
    fc.integer({ min: 17_000, max: 60_000 }).map(size => latin(`${head}x-long: ${'x'.repeat(size)}\r\n\r\n`)),
    fc
      .constantFrom(
        `${head}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
        `${head}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`,
        `${head}content-length: -1\r\n\r\n`,
        `${head}transfer-encoding: gzip\r\n\r\nxx`,
        `${head}upgrade: websocket\r\nconnection: upgrade\r\n\r\n`,
        'CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      )
      .map(latin),
  )
  await each(requests, 0.15, async bytes => {
    const answer = await exchange(bytes, true).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET') throw error
      return ''
    })
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/m)
  })
})
