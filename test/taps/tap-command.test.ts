import { once } from 'node:events'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { openBus } from '../../src/runtime/environment.ts'
import { launch, tidings } from '../lib/cli.ts'
import { embeddedWorld, type World } from '../lib/world.ts'
import { listening } from './lib/listening.ts'
import { recordedBy } from './lib/tapped.ts'

/** A tap in a process of its own, with its address. */
async function running(place: World['place'], args: readonly string[]) {
  const child = launch(place, ['tap', ...args, '--port', '0', '--json'])
  onTestFinished(() => void child.kill('SIGKILL'))
  const stderr = text(child.stderr)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const ready = JSON.parse((await lines.next()).value ?? (await stderr)) as { url: string }
  return {
    url: ready.url,
    async stop() {
      child.kill('SIGTERM')
      const stopped: object[] = []
      for await (const line of lines) stopped.push(JSON.parse(line))
      if (child.exitCode === null) await once(child, 'exit')
      return { stopped: stopped[0], stderr: await stderr, code: child.exitCode }
    },
  }
}

test('tap http forwards to a service, records its routes, and stops when it is asked to', async () => {
  const { place } = await embeddedWorld()
  const upstream = await listening(
    createServer((incoming, outgoing) => outgoing.end(`${incoming.method} ${incoming.url}`)),
  )
  const tap = await running(place, [
    'http',
    '--name',
    'desk',
    '--upstream',
    `${upstream}/api`,
    '--route',
    'GET /api/reports/:id',
    '--user-header',
    'x-user',
  ])
  expect(await (await fetch(`${tap.url}/reports/7?all=1`, { headers: { 'x-user': 'ann' } })).text()).toBe(
    'GET /api/reports/7?all=1',
  )
  expect((await fetch(tap.url.replace('/api', '/other'))).status).toBe(400)
  expect((await fetch(tap.url, { headers: { host: 'evil.example' } })).status).toBe(200)
  expect(await tap.stop()).toMatchObject({
    stopped: { event: 'stopped', calls: 1, unrecorded: 0 },
    stderr: '',
    code: 0,
  })
  const bus = await openBus(place)
  onTestFinished(() => bus.close())
  const events = await recordedBy(bus, '/taps/desk', /^http\./, 2)
  expect(events).toMatchObject([
    { type: 'http.request', user: 'ann', data: { params: { id: '7' }, query: { all: '1' } } },
    { type: 'http.response', data: { status: 200 } },
  ])
})

test('what cannot work is refused with what to do', async () => {
  const { place } = await embeddedWorld()
  const refused = [
    [['http', '--upstream', 'http://127.0.0.1:1'], 'E_USAGE', '--route'],
    [['http', '--upstream', 'ftp://x', '--route', '/x'], 'E_SETTING_INVALID', 'protocol'],
    [['mcp'], 'E_USAGE', 'the command of an MCP server'],
    [['mcp', '--', '/no/such/server'], 'E_TAP_COMMAND', '/no/such/server'],
  ] as const
  const outcomes = await Promise.all(refused.map(([args]) => tidings(place, ['tap', ...args])))
  for (const [i, [, code, what]] of refused.entries()) {
    expect(outcomes[i]!.stderr).toContain(code)
    expect(outcomes[i]!.stderr).toContain(what)
    expect([outcomes[i]!.code === 0, outcomes[i]!.stdout]).toEqual([false, ''])
  }
})
