import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { bundledClient } from './bundled.ts'

/* `npm run client-runtimes` runs the bundle where it is meant to run. */

const maxBytes = 5_000

it('the client has no dependency and less than 5 kB', async () => {
  const { code, imports, dynamicImports } = await bundledClient()
  expect([...imports, ...dynamicImports]).toEqual([])
  expect(code).not.toMatch(/\b(?:process|Buffer|require|node:)\b/)
  expect(gzipSync(code).length).toBeLessThan(maxBytes)
})
