import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as OldStdioTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { expect, onTestFinished, test } from 'vitest'
import type { CloudEvent } from '../../src/event.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { until } from '../../src/testing/wait.ts'
import { embeddedWorld, onAnyBus, type World } from '../lib/world.ts'

const main = join(import.meta.dirname, '../../src/cli/main.ts')
const sums = join(import.meta.dirname, 'lib/stdio-server.ts')

/** What a client has in its configuration in place of the command of the server. */
function behindTap({ home, bus }: World['place'], ...server: string[]) {
  const env = { ...process.env, TIDINGS_HOME: home, TIDINGS_BUS: bus } as Record<string, string>
  return { command: process.execPath, args: [main, 'tap', 'mcp', '--name', 'sums', '--', ...server], env }
}

/** The events of the tap on the log, once there are as many as expected. */
async function recorded(place: World['place'], types: RegExp, count: number): Promise<CloudEvent[]> {
  const bus = await openBus(place)
  try {
    return await until(async () => {
      const events: CloudEvent[] = []
      for await (const { event } of bus.read({}))
        if (types.test(event.type) && event.source === '/taps/sums') events.push(await bus.resolve(event))
      return events.length >= count && events
    })
  } finally {
    await bus.close()
  }
}

const texts = (result: unknown) => (result as { content: { text: string }[] }).content.map(({ text }) => text)

onAnyBus(world => {
  test('a client calls tools through the tap, and the calls are on the log', async () => {
    const { place } = await world()
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
    await client.connect(new StdioClientTransport({ ...behindTap(place, process.execPath, sums), stderr: 'pipe' }))
    onTestFinished(() => client.close())
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['add', 'divide', 'repeat', 'wait'])
    expect(texts(await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } }))).toEqual(['5'])
    expect((await client.callTool({ name: 'divide', arguments: { a: 1, b: 0 } })).isError).toBe(true)
    // Before the client closes: it does not wait for a log that opens slowly.
    const events = await recorded(place, /^tool\./, 5)
    const [invoke, result] = events.filter(({ subject }) => subject === 'add')
    expect(invoke).toMatchObject({ type: 'tool.invoke', target: 'tap:sums', data: { input: { a: 2, b: 3 } } })
    expect(result).toMatchObject({
      type: 'tool.result', id: `${invoke!.id}:result`, call: invoke!.id, causationid: invoke!.id,
      data: { output: { content: [{ type: 'text', text: '5' }] } },
    }) // biome-ignore format: one event
    const failed = events.find(({ type }) => type === 'tool.failed')
    expect(failed).toMatchObject({
      subject: 'divide',
      data: { error: { code: 'E_TOOL_THREW', message: 'division by zero' }, output: { isError: true } },
    })
    expect(events.find(({ type }) => type === 'tool.listed')).toMatchObject({
      subject: 'sums',
      data: {
        server: { name: 'sums', version: '1.0.0' },
        tools: [
          { name: 'add', annotations: { readOnlyHint: true } },
          { name: 'divide' },
          { name: 'repeat' },
          { name: 'wait' },
        ],
      },
    })
    expect(new Set(events.filter(({ type }) => type !== 'tool.listed').map(each => each.correlationid)).size).toBe(1)
  })
})

/** The pid of the server behind a tap. */
const serverPid = async (tap: number) =>
  until(() => Number(readFileSync(`/proc/${tap}/task/${tap}/children`, 'utf8').trim()))

async function oldClient(place: World['place'], name = process.execPath) {
  const client = new OldClient({ name: 'test', version: '1' })
  const transport = new OldStdioTransport({ ...behindTap(place, name, sums), stderr: 'pipe' })
  await client.connect(transport)
  onTestFinished(() => client.close())
  return { client, transport, pid: transport.pid! }
}

test('a client of the era before sees progress, cancels, and goes away', async () => {
  const { place } = await embeddedWorld()
  const { client, transport } = await oldClient(place)
  let stderr = ''
  transport.stderr?.on('data', chunk => (stderr += chunk))
  const progress: object[] = []
  const onprogress = (each: object) => progress.push(each)
  expect(texts(await client.callTool({ name: 'wait', arguments: { ms: 300 } }, undefined, { onprogress }))).toEqual([
    'done',
  ])
  expect(progress).toEqual([{ progress: 1, total: 2 }])
  const cancel = new AbortController()
  const call = client.callTool({ name: 'wait', arguments: { ms: 60_000 } }, undefined, { signal: cancel.signal })
  cancel.abort('enough')
  await expect(call).rejects.toThrow('enough')
  void client.callTool({ name: 'wait', arguments: { ms: 60_000 } }).catch(() => {})
  await recorded(place, /^tool\.invoke$/, 3)
  await client.close()
  const ends = (await recorded(place, /^tool\.(result|failed)$/, 3)).map(({ data }) => data)
  expect(ends).toMatchObject([
    { output: { content: [{ text: 'done' }] } },
    { error: { code: 'E_TAP_CANCELLED', message: 'enough' } },
    { error: { code: 'E_TAP_INTERRUPTED' } },
  ])
  expect(stderr).toBe('sums: listening\n')
})

test('calls that the server or the tap did not survive end as interrupted', async () => {
  const { place } = await embeddedWorld()
  const first = await oldClient(place)
  const lost = first.client.callTool({ name: 'wait', arguments: { ms: 60_000 } }).catch(error => error)
  await recorded(place, /^tool\.invoke$/, 1)
  process.kill(await serverPid(first.pid), 'SIGKILL')
  expect(await lost).toMatchObject({ message: expect.stringContaining('closed') })
  const second = await oldClient(place)
  const alsoLost = second.client.callTool({ name: 'wait', arguments: { ms: 60_000 } }).catch(error => error)
  await recorded(place, /^tool\.invoke$/, 2)
  const server = await serverPid(second.pid)
  process.kill(second.pid, 'SIGKILL')
  expect(await alsoLost).toMatchObject({ message: expect.stringContaining('closed') })
  await until(() => !existsSync(`/proc/${server}`))
  const third = await oldClient(place)
  expect(texts(await third.client.callTool({ name: 'add', arguments: { a: 1, b: 1 } }))).toEqual(['2'])
  const events = await recorded(place, /^tool\.(result|failed)$/, 3)
  expect(events.map(({ data }) => (data as { error?: { message: string } }).error?.message)).toEqual([
    'the server ended before it had answered',
    expect.stringContaining('the tap "sums" ended'),
    undefined,
  ])
})

test('without a log it forwards, and says how much is not recorded', async () => {
  const client = new OldClient({ name: 'test', version: '1' })
  const transport = new OldStdioTransport({
    ...behindTap({ home: '/nowhere', bus: 'nats://127.0.0.1:9/none' }, process.execPath, sums), stderr: 'pipe',
  }) // biome-ignore format: one line
  let stderr = ''
  transport.stderr?.on('data', chunk => (stderr += chunk))
  await client.connect(transport)
  for (const a of [1, 2, 3])
    expect(texts(await client.callTool({ name: 'add', arguments: { a, b: 1 } }))).toEqual([String(a + 1)])
  const ended = transport.stderr && once(transport.stderr, 'end')
  await client.close()
  await ended
  expect(stderr).toContain('3 calls not recorded')
  expect(stderr).toMatch(/127\.0\.0\.1:9/)
})
