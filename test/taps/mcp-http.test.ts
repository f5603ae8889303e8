import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport as OldHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { expect, onTestFinished, test } from 'vitest'
import type { CloudEvent } from '../../src/event.ts'
import { embeddedWorld, onAnyBus } from '../lib/world.ts'
import { listening } from './lib/listening.ts'
import { oldSumsServer } from './lib/old-sums.ts'
import { sumsServer } from './lib/sums.ts'
import { mcpTapped } from './lib/tapped.ts'
import { serving } from '../lib/serving.ts'

const texts = (result: unknown) => (result as { content: { text: string }[] }).content.map(({ text }) => text)
const errorsOf = (events: readonly CloudEvent[]) =>
  events.map(({ data }) => (data as { error?: { code: string } }).error?.code)

async function statelessSums(): Promise<string> {
  const handler = createMcpHandler(sumsServer)
  onTestFinished(() => handler.close())
  return listening(createServer(serving(getRequestListener(request => handler.fetch(request)))))
}

async function connected(url: string, mode: 'legacy' | { pin: string } = { pin: '2026-07-28' }) {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  const transport = new StreamableHTTPClientTransport(new URL(url))
  await client.connect(transport)
  onTestFinished(() => client.close())
  return { client, transport }
}

onAnyBus(world => {
  test('calls of the stateless era are on the log, each with the trace that it carries', async () => {
    const { url, recorded } = await mcpTapped(await world(), await statelessSums())
    const { client } = await connected(`${url}/mcp`)
    await client.listTools()
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const [two, three] = await Promise.all([
      client.callTool({
        name: 'add',
        arguments: { a: 1, b: 1 },
        _meta: { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
      }),
      client.callTool({ name: 'add', arguments: { a: 1, b: 2 } }),
      client.callTool({ name: 'divide', arguments: { a: 1, b: 0 } }),
    ])
    expect([texts(two), texts(three)]).toEqual([['2'], ['3']])
    const events = await recorded(/^tool\./, 7)
    const traced = events.filter(({ correlationid }) => correlationid.replaceAll('-', '') === traceId)
    expect(traced.map(({ type }) => type)).toEqual(['tool.invoke', 'tool.result'])
    expect(traced[0]).toMatchObject({ target: 'tap:test', subject: 'add', data: { input: { a: 1, b: 1 } } })
    expect(events.filter(({ type }) => type === 'tool.failed')).toMatchObject([{ subject: 'divide' }])
    expect(events.find(({ type }) => type === 'tool.listed')?.data).toMatchObject({ server: { name: 'sums' } })
  })
})

test('ids of clients without sessions do not meet', async () => {
  const { url, recorded } = await mcpTapped(await embeddedWorld(), await statelessSums())
  const clients = await Promise.all([1, 2, 3].map(() => connected(`${url}/mcp`)))
  await Promise.all(clients.map(({ client }, a) => client.callTool({ name: 'add', arguments: { a, b: 10 } })))
  const events = await recorded(/^tool\.(invoke|result)$/, 6)
  const sums = events
    .filter(({ type }) => type === 'tool.invoke')
    .map(invoke => [
      (invoke.data as { input: { a: number } }).input.a + 10,
      Number(texts((events.find(({ call }) => call === invoke.id)!.data as { output: unknown }).output)[0]),
    ])
  expect(sums.toSorted(([a = 0], [b = 0]) => a - b)).toEqual([[10, 10], [11, 11], [12, 12]]) // biome-ignore format: one line
})

test('a client of the era before without a session', async () => {
  const { url, recorded } = await mcpTapped(await embeddedWorld(), await statelessSums())
  const { client } = await connected(`${url}/mcp`, 'legacy')
  expect(texts(await client.callTool({ name: 'add', arguments: { a: 1, b: 1 } }))).toEqual(['2'])
  expect(await recorded(/^tool\.(invoke|result)$/, 2)).toMatchObject([
    {},
    { data: { output: { content: [{ text: '2' }] } } },
  ])
})

test('the calls of a session share a correlation, and an answer may come on a later stream', async () => {
  const { url: upstream, resumed } = await oldSumsServer()
  const { url, recorded } = await mcpTapped(await embeddedWorld(), upstream)
  const client = new OldClient({ name: 'test', version: '1' })
  const transport = new OldHttpTransport(new URL(`${url}/mcp`), {
    reconnectionOptions: {
      initialReconnectionDelay: 10,
      maxReconnectionDelay: 10,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 5,
    },
  })
  await client.connect(transport)
  await client.listTools()
  expect(texts(await client.callTool({ name: 'add', arguments: { a: 1, b: 1 } }))).toEqual(['2'])
  expect(texts(await client.callTool({ name: 'wait', arguments: { ms: 1, cut: true } }))).toEqual(['done'])
  expect(resumed).toHaveLength(1)
  const cancel = new AbortController()
  const cancelled = client.callTool({ name: 'wait', arguments: { ms: 60_000 } }, undefined, { signal: cancel.signal })
  await recorded(/^tool\.invoke$/, 3)
  cancel.abort('enough')
  await expect(cancelled).rejects.toThrow('enough')
  void client.callTool({ name: 'wait', arguments: { ms: 60_000 } }).catch(() => {})
  await recorded(/^tool\.invoke$/, 4)
  await transport.terminateSession()
  await client.close()
  const ends = await recorded(/^tool\.(result|failed)$/, 4)
  expect(errorsOf(ends)).toEqual([undefined, undefined, 'E_TAP_CANCELLED', 'E_TAP_INTERRUPTED'])
  expect(new Set(ends.map(({ correlationid }) => correlationid)).size).toBe(1)
})

test('the first transport over HTTP, whose answers come on one stream', async () => {
  const { url: upstream } = await oldSumsServer()
  const { url, recorded } = await mcpTapped(await embeddedWorld(), upstream)
  const clients = await Promise.all(
    [1, 2].map(async () => {
      const client = new OldClient({ name: 'test', version: '1' })
      await client.connect(new SSEClientTransport(new URL(`${url}/sse`)))
      onTestFinished(() => client.close())
      return client
    }),
  )
  const sums = await Promise.all(clients.map((client, a) => client.callTool({ name: 'add', arguments: { a, b: 1 } })))
  expect(sums.map(texts)).toEqual([['1'], ['2']])
  void clients[0]!.callTool({ name: 'wait', arguments: { ms: 60_000 } }).catch(() => {})
  await recorded(/^tool\.invoke$/, 3)
  await clients[0]!.close()
  const ends = await recorded(/^tool\.(result|failed)$/, 3)
  expect(errorsOf(ends)).toEqual([undefined, undefined, 'E_TAP_CANCELLED'])
  const correlations = Map.groupBy(ends, ({ correlationid }) => correlationid)
  expect([...correlations.values()].map(each => each.length).toSorted((a, b) => a - b)).toEqual([1, 2])
})

test('a client of the stateless era cancels by closing the response', async () => {
  const { url, recorded } = await mcpTapped(await embeddedWorld(), await statelessSums())
  const { client } = await connected(`${url}/mcp`)
  const cancel = new AbortController()
  const call = client.callTool({ name: 'wait', arguments: { ms: 60_000 } }, { signal: cancel.signal })
  await recorded(/^tool\.invoke$/, 1)
  cancel.abort('enough')
  await expect(call).rejects.toThrow()
  expect(errorsOf(await recorded(/^tool\.failed$/, 1))).toEqual(['E_TAP_CANCELLED'])
})

test('errors of HTTP end the calls of the request', async () => {
  const upstream = await listening(
    createServer((incoming, outgoing) => {
      incoming.resume().on('end', () => {
        if (incoming.url === '/cut') return outgoing.write('{', () => outgoing.destroy())
        return outgoing
          .writeHead(incoming.url === '/200' ? 200 : 401, { 'content-type': 'text/plain' })
          .end('who are you?')
      })
    }),
  )
  const { url, recorded } = await mcpTapped(await embeddedWorld(), upstream)
  const gone = await mcpTapped(await embeddedWorld(), 'http://127.0.0.1:9')
  const body = JSON.stringify([1, 2].map(id => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'x' } })))
  const post = (to: string) => fetch(to, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect(await (await post(`${url}/401`)).text()).toBe('who are you?')
  expect(errorsOf(await recorded(/^tool\.failed$/, 2))).toEqual(['E_TAP_UPSTREAM', 'E_TAP_UPSTREAM'])
  await post(`${url}/200`)
  await post(`${url}/cut`)
    .then(response => response.text())
    .catch(() => {})
  expect(errorsOf(await recorded(/^tool\.failed$/, 6)).slice(2).toSorted((a = '', b = '') => a.localeCompare(b))).toEqual([
    'E_TAP_INTERRUPTED', 'E_TAP_INTERRUPTED', 'E_TAP_UPSTREAM', 'E_TAP_UPSTREAM',
  ]) // biome-ignore format: one line
  expect((await post(`${gone.url}/mcp`)).status).toBe(502)
  expect(errorsOf(await gone.recorded(/^tool\.failed$/, 2))).toEqual(['E_TAP_UPSTREAM', 'E_TAP_UPSTREAM'])
})
