import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { until } from '../../../src/testing/wait.ts'
import { embeddedWorld } from '../../lib/world.ts'
import { callsOf } from './lib/calls.ts'
import { pinned, scratch } from './lib/pinned.ts'
import { listed, rawServer, textResult } from './lib/raw-server.ts'
import { sessionServer } from './lib/session-server.ts'

/* Servers on the network, of both protocols, that die and come back. */

async function spawned(folder: string, port = 0): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'lib/http-server.ts'), folder, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, port: Number(line.toString()) }
}

const runsOf = (folder: string, tool: string) => {
  const file = join(folder, `${tool}.runs`)
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
}

describe('a server of 2026-07-28 over HTTP', () => {
  it('that is killed while tools run: an idempotent one runs again, the outcome of the other is unknown', async () => {
    const folder = scratch()
    const { child, port } = await spawned(folder)
    const shop = await pinned('shop', { url: `http://127.0.0.1:${port}/mcp` }, folder)
    const calls = await callsOf(await embeddedWorld(), { use: [shop] })
    expect(await calls.call('shop.echo', { text: 'hi' })).toBe('hi')
    expect(readFileSync(join(folder, 'protocols'), 'utf8')).toContain('2026-07-28')

    const once = calls.failure('shop.once', { ms: 60_000 })
    const slow = calls.call('shop.slow', { ms: 2_000 })
    await until(() => runsOf(folder, 'once') === 1 && runsOf(folder, 'slow') === 1)
    child.kill('SIGKILL')
    const killed = performance.now()
    expect(await once).toMatchObject({ code: 'E_TOOL_OUTCOME_UNKNOWN' })
    expect(performance.now() - killed).toBeLessThan(30_000)
    await spawned(folder, port)
    expect(await slow).toBe('done')
    expect([runsOf(folder, 'once'), runsOf(folder, 'slow')]).toEqual([1, 2])
  })
})

describe('a server with sessions of 2025', () => {
  it('that forgot them gets a new one, and the call that found out is sent again', async () => {
    const first = await sessionServer()
    const folder = scratch()
    const shop = await pinned('shop', { url: first.url }, folder)
    const calls = await callsOf(await embeddedWorld(), { use: [shop] })
    expect(await calls.call('shop.once', { text: 'one' })).toBe('one')
    await first.close()
    const second = await sessionServer(first.port)
    onTestFinished(() => second.close())
    expect(await calls.call('shop.once', { text: 'two' })).toBe('two')
    expect(second.sessions()).toBe(1)
  })
})

it('a server that comes back while a call waits for it gets the call once', async () => {
  const folder = scratch()
  const options = { era: '2026-07-28', tools: [listed('book')], answer: () => textResult('booked') } as const
  const first = await rawServer(options)
  const shop = await pinned('shop', { url: first.url }, folder)
  await first.close()
  const calls = await callsOf(await embeddedWorld(), { use: [shop] })
  const booking = calls.call('shop.book', {})
  const second = await rawServer({ ...options, port: first.port })
  expect(await booking).toBe('booked')
  expect(second.requests.filter(({ method }) => method === 'tools/call')).toHaveLength(1)
})

it('a token is asked for with each request, and removed from what the server returns', async () => {
  const folder = scratch()
  let token = 'token-of-monday'
  const { url, requests } = await rawServer({
    era: '2025-11-25',
    tools: [listed('whoami')],
    answer: ({ headers }) => textResult(String(headers.authorization)),
  })
  const shop = await pinned('shop', { url, auth: 'token-for-pinning' }, folder, { auth: () => token, headers: { 'x-team': 'reports-team' } }) // biome-ignore format: one line
  const calls = await callsOf(await embeddedWorld(), { use: [shop] })
  token = 'token-of-tuesday'
  expect(await calls.call('shop.whoami', {})).toBe('Bearer [redacted]')
  expect(requests.at(-1)!.headers).toMatchObject({ authorization: 'Bearer token-of-tuesday', 'x-team': 'reports-team' })
})
