import { HonoRequest } from 'hono/request'
import { expect, test } from 'vitest'
import { blobIn, blobUrl } from './public-address.ts'

const blob = `sha256-${'0a'.repeat(32)}`
const requestWith = (headers: Record<string, string> = {}) =>
  new HonoRequest(new Request('http://shop.example:8080/ui/chat/clerk', { headers }))

test('an attachment is what the addresses of this gateway name, and no other one', () => {
  const at = blobIn(requestWith())
  for (const url of [
    blobUrl(requestWith())(blob, 'text/plain'),
    `/blobs/${blob}`,
    `https://shop.example:8080/blobs/${blob}#x`,
  ])
    expect([url, at(url)]).toEqual([url, blob])
  for (const url of [
    `https://evil.example/blobs/${blob}`,
    `http://shop.example/blobs/${blob}`,
    `http://shop.example:8080/other/blobs/${blob}`,
    `http://shop.example:8080/blobs/${blob}/more`,
    `http://shop.example:8080@evil.example/blobs/${blob}`,
    `//evil.example/blobs/${blob}`,
    `data:text/plain,/blobs/${blob}`,
    `/blobs/sha256-short`,
    'http://[',
  ])
    expect([url, at(url)]).toEqual([url, undefined])
})

test('behind a proxy with a prefix it is the address that clients see', () => {
  const req = requestWith({
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.example',
    'x-forwarded-prefix': '/tidings',
  })
  expect(blobIn(req)(blobUrl(req)(blob, 'text/plain'))).toBe(blob)
  expect(blobIn(req)(`https://shop.example/blobs/${blob}`)).toBeUndefined()
})
