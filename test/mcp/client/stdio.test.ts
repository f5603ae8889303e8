import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { McpServer } from '../../../src/mcp/client/mcp.ts'
import { until } from '../../../src/testing/wait.ts'
import { embeddedWorld, eventsOf, World } from '../../lib/world.ts'
import { callsOf, type Calls } from './lib/calls.ts'
import { pinned, scratch, stdioServer } from './lib/pinned.ts'

/* A server of the SDK as a child process, and an app that uses its tools. */

describe('tools of a server on standard input and output', () => {
  const folder = scratch(afterAll)
  const world = new World(folder, 'sqlite')
  let shop: McpServer
  let calls: Calls
  const runsOf = (tool: string) =>
    readFileSync(join(folder, `${tool}.runs`), 'utf8')
      .split('\n')
      .filter(Boolean).length

  beforeAll(async () => {
    const command = ['node', stdioServer, folder] as const
    shop = await pinned('shop', { command, env: { SHOP_TOKEN: 'tok-4711-and-more' } }, folder, { exclude: ['picture'] })
    calls = await callsOf(world, { use: [shop] })
  })
  afterAll(() => world.stop())

  it('have names of the app, and the policies that follow from what the server says', () => {
    const policies = shop.tools.map(({ name, options }) => [name, options.readOnly, options.atMostOnce])
    expect(policies).toContainEqual(['shop.add_numbers', true, false])
    expect(policies).toContainEqual(['shop.slow', false, false])
    expect(policies).toContainEqual(['shop.once', false, true])
    expect(policies.map(([name]) => name)).not.toContain('shop.picture')
  })

  it('answer with text, or with structured content', async () => {
    expect(await calls.call('shop.echo', { text: 'hi' })).toBe('hi')
    expect(await calls.call('shop.add_numbers', { a: 1, b: 2 })).toEqual({ sum: 3 })
  })

  it('fail with what the server reports, and for input that does not fit before the server sees it', async () => {
    expect(await calls.failure('shop.fails', {})).toMatchObject({ code: 'E_TOOL_THREW', message: 'no such shop' })
    expect(await calls.failure('shop.echo', { text: 1 })).toMatchObject({ code: 'E_TOOL_INPUT' })
  })

  it('report their progress', async () => {
    const seen: unknown[] = []
    calls.worker.bus.onSignal([{ types: ['tool.progress'] }], ({ data }) => void seen.push(data))
    expect(await calls.call('shop.slow', { ms: 300 })).toBe('done')
    await until(() => seen.length > 0)
    expect(seen[0]).toMatchObject({ message: expect.stringContaining('step') })
  })

  it('never repeat a credential of the app', async () => {
    expect(await calls.call('shop.secret', {})).toBe('it is [redacted]')
  })

  it('include those that read resources and prompts', async () => {
    expect(await calls.call('shop.resources.list', {})).toMatchObject({ resources: [{ uri: 'notes://opening' }] })
    expect(await calls.call('shop.resources.read', { uri: 'notes://opening' })).toBe('From ten to four.')
    expect(await calls.call('shop.prompts.get', { name: 'greet', arguments: { name: 'Ann' } })).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'Greet Ann.' }] },
    ])
  })

  it('end as outcome unknown if the server dies while one runs that may have effects, and the next call starts the server', async () => {
    const before = performance.now()
    expect(await calls.failure('shop.dies_once', {})).toMatchObject({ code: 'E_TOOL_OUTCOME_UNKNOWN' })
    // At once, and within ten seconds on a machine that does nothing else.
    expect(performance.now() - before).toBeLessThan(30_000)
    expect(runsOf('dies_once')).toBe(1)
    expect(await calls.call('shop.echo', { text: 'again' })).toBe('again')
  })

  it('are started again if they are idempotent', async () => {
    expect(await calls.call('shop.dies', {})).toBe('survived')
    expect(runsOf('dies')).toBe(3)
  })
})

it('a server that does not start holds its calls, visibly, and not the app', async () => {
  const folder = scratch()
  const shop = await pinned('shop', { command: ['node', stdioServer, folder] }, folder, {
    command: ['node', join(folder, 'missing.mjs')],
  })
  const { worker, started } = await callsOf(await embeddedWorld(), { use: [shop] })
  const { correlationid } = await started('shop.once', {})
  const delayed = await until(async () =>
    (await eventsOf(worker, correlationid)).find(({ type }) => type === 'tool.delayed'),
  )
  const error = { code: 'E_MCP_UNAVAILABLE', message: expect.stringContaining('missing.mjs') }
  expect(delayed.data).toMatchObject({ attempts: 0, error })
})

it('a tool of a server that the app does not use says where to declare it', async () => {
  const folder = scratch()
  const shop = await pinned('shop', { command: ['node', stdioServer, folder] }, folder)
  await expect(shop.tool('echo').options.run({})).rejects.toMatchObject({ code: 'E_MCP_UNAVAILABLE' })
  expect(() => shop.tool('ecko')).toThrow(/did you mean "echo"/i)
})
