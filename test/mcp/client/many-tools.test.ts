import { expect, it } from 'vitest'
import { listServer } from '../../../src/mcp/client/pin-server.ts'
import { mcp } from '../../../src/mcp/client/mcp.ts'
import { writePins } from '../../../src/mcp/client/pins.ts'
import { join } from 'node:path'
import { embeddedWorld } from '../../lib/world.ts'
import { callsOf } from './lib/calls.ts'
import { scratch } from './lib/pinned.ts'
import { listed, rawServer, textResult } from './lib/raw-server.ts'

it('a server with 1,000 tools on 40 pages is listed, pinned and hosted', async () => {
  const all = Array.from({ length: 1_000 }, (_, n) => listed(`tool${n}`))
  const pageSize = 25
  const { url, requests } = await rawServer({
    era: '2026-07-28',
    tools: [],
    answer: ({ params }) => textResult(params.name!),
    page(cursor) {
      const from = Number(cursor)
      const next = from + pageSize
      const tools = all.slice(from, next)
      return { resultType: 'complete', tools, cacheScope: 'private', ttlMs: 0, ...(next < all.length && { nextCursor: String(next) }) } // biome-ignore format: one line
    },
  })
  const pins = join(scratch(), 'mcp.lock.json')
  writePins(pins, 'wide', (await listServer({ name: 'wide', address: { url } })).pinned)
  expect(requests.filter(({ method }) => method === 'tools/list')).toHaveLength(40)
  const wide = mcp('wide', { url, pins })
  expect(wide.tools).toHaveLength(1_000)
  const calls = await callsOf(await embeddedWorld(), { use: [wide] })
  expect(await calls.call('wide.tool999', {})).toBe('tool999')
  expect(await calls.call('wide.tool0', {})).toBe('tool0')
})
