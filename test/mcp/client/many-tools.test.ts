import { join } from 'node:path'
import { expect, it } from 'vitest'
import { mcp } from '../../../src/mcp/client/mcp.ts'
import { listServer } from '../../../src/mcp/client/pin-server.ts'
import { writePins } from '../../../src/mcp/client/pins.ts'
import { onAnyBus } from '../../lib/world.ts'
import { callsOf } from './lib/calls.ts'
import { scratch } from './lib/pinned.ts'
import { listed, rawServer, textResult } from './lib/raw-server.ts'

onAnyBus(world => {
  it('a server with 1,000 tools on 40 pages is listed, pinned and hosted by one group', {
    timeout: 120_000,
  }, async () => {
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
    const wide = mcp('wide', { url, pins, tools: { tool7: { limit: 1 } } })
    expect(wide.tools).toHaveLength(1_000)
    const on = await world()
    const calls = await callsOf(on, { use: [wide] })
    const groups = (await calls.worker.bus.listGroups()).map(({ group }) => group)
    expect(groups.filter(group => /^(mcp|tool)\//.test(group))).toEqual(['mcp/wide', 'tool/wide.tool7'])
    expect(await calls.call('wide.tool999', {})).toBe('tool999')
    expect(await calls.call('wide.tool7', {})).toBe('tool7')

    // Another member of the group has other tools, and takes no call from this one.
    await on.worker({ use: [mcp('wide', { url, pins, include: ['tool0', 'tool7'] })] })
    const numbers = [0, 1, 2, 3, 7, 8]
    const names = await Promise.all(numbers.map(n => calls.call(`wide.tool${n}`, {})))
    expect(names).toEqual(numbers.map(n => `tool${n}`))
    const called = requests.filter(({ method }) => method === 'tools/call')
    expect(called).toHaveLength(numbers.length + 2)
  })
})
