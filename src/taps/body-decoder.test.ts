import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { bodyDecoder } from './body-decoder.ts'

async function decoded(bytes: Buffer, maxBytes: number) {
  let read = 0
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const decoder = bodyDecoder('gzip', maxBytes, { chunk: chunk => void (read += chunk.length), end: resolve })
  for (let at = 0; at < bytes.length; at += 65_536) decoder.push(bytes.subarray(at, at + 65_536))
  decoder.end()
  return { problem: await promise, read }
}

test('a compressed body that comes faster than it can be read does not fill the memory', async () => {
  expect(await decoded(gzipSync(randomBytes(1_000_000)), 1_000_000)).toEqual({ problem: undefined, read: 1_000_000 })
  expect((await decoded(gzipSync(randomBytes(30_000_000)), Infinity)).problem).toContain('faster')
})

test('a small body that becomes a large one is read up to the bound', async () => {
  const { problem, read } = await decoded(gzipSync(Buffer.alloc(50_000_000)), 1_000_000)
  expect(problem).toContain('larger than 1000000 bytes')
  expect(read).toBeLessThanOrEqual(1_000_000)
})
