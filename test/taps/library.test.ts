import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { createOpenAI } from '@ai-sdk/openai'
import { generateText, streamText } from 'ai'
import express from 'express'
import { Hono } from 'hono'
import { expect, onTestFinished, test } from 'vitest'
import type { CloudEvent } from '../../src/event.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { startTap, type Tap } from '../../src/taps/index.ts'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { until } from '../../src/testing/wait.ts'
import { embeddedWorld, onAnyBus, type World } from '../lib/world.ts'
import { listening } from './lib/listening.ts'
import { sumsServer } from './lib/sums.ts'
import { recordedBy, slowPublishes } from './lib/tapped.ts'
import { serving } from '../lib/serving.ts'

const routes = ['POST /reports', 'GET /reports/:id', 'GET /stream', 'POST /refused']

const expressApp = (tap?: Tap): RequestListener => {
  const app = express()
  if (tap) app.use(tap.express({ routes, userHeader: 'x-user' }))
  app.post('/refused', (_, response) => void response.status(401).send('who are you?'))
  app.use(express.json())
  app.post('/reports', (request, response) => void response.status(201).json({ ...request.body, id: 7 }))
  app.get(
    '/reports/:id',
    (request, response) => void response.cookie('session', 'abc').send(`report ${request.params.id}`),
  )
  app.get('/other', (_, response) => void response.send('other'))
  app.get('/stream', async (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-count': '2' })
    response.write('data: 1\n\n')
    if (request.query.wait !== undefined) return void (await once(response, 'close'))
    response.end('data: 2\n\n')
  })
  return app
}

const honoApp = (tap?: Tap): RequestListener => {
  const app = new Hono()
  app.onError((error, context) => context.text(error.name, 400))
  if (tap) app.use(tap.hono({ routes, userHeader: 'x-user' }))
  app.post('/refused', context => context.text('who are you?', 401))
  app.post('/reports', async context => context.json({ ...(await context.req.json()), id: 7 }, 201))
  app.get('/reports/:id', context =>
    context.text(`report ${context.req.param('id')}`, 200, { 'set-cookie': 'session=abc' }),
  )
  app.get('/other', context => context.text('other'))
  app.get('/stream', context => {
    const chunks = context.req.query('wait') === undefined ? ['data: 1\n\n', 'data: 2\n\n'] : ['data: 1\n\n']
    const body = new ReadableStream({
      pull(controller) {
        const chunk = chunks.shift()
        if (chunk !== undefined) controller.enqueue(new TextEncoder().encode(chunk))
        else if (context.req.query('wait') === undefined) controller.close()
      },
    })
    return context.body(body, 200, { 'content-type': 'text/event-stream', 'x-count': '2' })
  })
  return serving(getRequestListener(app.fetch))
}

async function tapOn({ place }: World) {
  const bus = await openBus(place)
  const tap = startTap({ bus }, { name: 'desk' })
  onTestFinished(async () => {
    await tap.stop()
    await bus.close()
  })
  const recorded = (types: RegExp, count: number): Promise<CloudEvent[]> => recordedBy(bus, '/taps/desk', types, count)
  return { tap, recorded }
}

interface Sent {
  readonly path: string
  readonly method?: string
  readonly body?: string
  readonly headers?: Record<string, string>
}

/** The response as it is on the wire, without what depends on the time. */
async function exchange(url: string, { path, method = 'GET', body, headers = {} }: Sent) {
  const request = httpRequest(url + path, { method, headers: { ...headers, connection: 'close' } })
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const { date: _, ...received } = response.headers
  return { status: response.statusCode, headers: received, body: Buffer.concat(await response.toArray()).toString() }
}

const json = { 'content-type': 'application/json' }
const all: Sent[] = [
  { path: '/reports', method: 'POST', body: '{"year":2026}', headers: { ...json, 'x-user': 'ann' } },
  { path: '/reports', method: 'POST', body: '{"year":', headers: json },
  { path: '/reports/7?draft=1', headers: { cookie: 'a=secret' } },
  { path: '/stream' },
  { path: '/refused', method: 'POST', body: '{}', headers: json },
  { path: '/other' },
  { path: '/missing' },
]

for (const [name, appOf] of Object.entries({ express: expressApp, hono: honoApp }))
  onAnyBus(world => {
    test(`middleware of ${name} changes nothing and records the named routes`, async () => {
      const { tap, recorded } = await tapOn(await world())
      const [plain, tapped] = [await listening(createServer(appOf())), await listening(createServer(appOf(tap)))]
      for (const sent of all) expect(await exchange(tapped, sent)).toEqual(await exchange(plain, sent))
      const events = await recorded(/^http\./, 10)
      const pairs = events
        .filter(({ type }) => type === 'http.request')
        .map(request => [request.data, events.find(({ call }) => call === request.id)?.data])
      expect(pairs.find(([request]) => (request as { route: string }).route === 'POST /reports')).toMatchObject([
        { path: '/reports', body: { json: { year: 2026 } } },
        { status: 201, body: { json: { year: 2026, id: 7 } } },
      ])
      expect(events.filter(({ user }) => user === 'ann')).toHaveLength(2)
      expect(pairs.find(([request]) => (request as { path: string }).path === '/reports/7')).toMatchObject([
        { params: { id: '7' }, query: { draft: '1' } },
        { status: 200, body: { text: 'report 7' } },
      ])
      expect(pairs.find(([request]) => (request as { path: string }).path === '/stream')?.[1]).toMatchObject({
        status: 200, headers: { 'x-count': '2' }, body: { text: 'data: 1\n\ndata: 2\n\n' },
      }) // biome-ignore format: one line
      expect(pairs.find(([request]) => (request as { path: string }).path === '/refused')?.[1]).toMatchObject({
        status: 401,
      })
      expect(JSON.stringify(events)).not.toMatch(/secret|session=abc/)
    })

    test(`a client of ${name} that goes away`, async () => {
      const { tap, recorded } = await tapOn(await world())
      const url = await listening(createServer(appOf(tap)))
      const abort = new AbortController()
      const response = await fetch(`${url}/stream?wait`, { signal: abort.signal })
      await response.body!.getReader().read()
      abort.abort()
      expect((await recorded(/^http\.response$/, 1))[0]!.data).toMatchObject({
        status: 200, error: { code: 'E_TAP_CANCELLED' },
      }) // biome-ignore format: one line
    })
  })

test('the answer is passed on when the request is on the log', async () => {
  const { place } = await embeddedWorld()
  const bus = await openBus(place)
  const published = slowPublishes(bus)
  const tap = startTap({ bus }, { name: 'desk' })
  onTestFinished(async () => {
    await tap.stop()
    await bus.close()
  })
  await until(() => tap.status.log === 'ok')
  const answers = async () => Response.json({ jsonrpc: '2.0', id: 1, result: {} })
  const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'x' } })
  const requests: [send: () => Promise<Response>, type: string][] = []
  for (const appOf of [expressApp, honoApp]) {
    const url = await listening(createServer(appOf(tap)))
    requests.push([() => fetch(`${url}/reports/7`), 'http.request'])
    requests.push([() => fetch(`${url}/reports`, { method: 'POST', headers: json, body: '{}' }), 'http.request'])
  }
  requests.push([
    () => tap.mcpFetch({ fetch: answers })('http://mcp.example', { method: 'POST', body: call }),
    'tool.invoke',
  ])
  for (const [send, type] of requests) {
    published.length = 0
    const { late } = tap.status
    const response = await send()
    // On a machine that is busy the hold may end before the log has answered.
    if (tap.status.late === late) expect(published).toEqual([type])
    await response.text()
    await until(() => published.length === 2)
  }
})

test('the calls of a model in the same process', async () => {
  const { tap, recorded } = await tapOn(await embeddedWorld())
  await using server = await openaiServer()
  const fetched: string[] = []
  const send: typeof fetch = (input, init) => {
    fetched.push(input instanceof Request ? input.url : input.toString())
    return fetch(input, init)
  }
  const provider = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: 'sk-x', fetch: tap.modelFetch({ fetch: send }) })
  server.script({ text: 'Until six.' }, { text: 'Until ten.' })
  const model = provider.chat('any-1')
  expect((await generateText({ model, prompt: 'When is it open?' })).text).toBe('Until six.')
  expect(await streamText({ model, prompt: 'And today?' }).text).toBe('Until ten.')
  const events = await recorded(/^model\./, 4)
  expect(events.filter(({ type }) => type === 'model.result').map(({ data }) => data)).toMatchObject([
    { text: 'Until six.' }, { text: 'Until ten.' },
  ]) // biome-ignore format: one line
  const models = await tap.modelFetch()(`${server.url}/v1/models`)
  expect([models.status, fetched.length, tap.status.calls]).toEqual([models.status, 2, 2])
  expect(JSON.stringify(events)).not.toContain('sk-x')
})

test('the calls of an MCP client in the same process', async () => {
  const { tap, recorded } = await tapOn(await embeddedWorld())
  const handler = createMcpHandler(sumsServer)
  const url = await listening(createServer(serving(getRequestListener(request => handler.fetch(request)))))
  const overHttp = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { fetch: tap.mcpFetch() })
  const command = { command: process.execPath, args: [join(import.meta.dirname, 'lib/stdio-server.ts')] }
  const overStdio = tap.mcpTransport(new StdioClientTransport({ ...command, stderr: 'ignore' }), { user: 'ann' })
  for (const transport of [overHttp, overStdio]) {
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } })
    await client.connect(transport)
    onTestFinished(() => client.close())
    const results = await Promise.all([1, 2, 3].map(a => client.callTool({ name: 'add', arguments: { a, b: 1 } })))
    expect(results.map(({ content }) => content)).toEqual([2, 3, 4].map(sum => [{ type: 'text', text: String(sum) }]))
    void client.callTool({ name: 'wait', arguments: { ms: 60_000 } }).catch(() => {})
    await recorded(/^tool\.invoke$/, transport === overHttp ? 4 : 8)
    await client.close()
  }
  const events = await recorded(/^tool\.(result|failed)$/, 8)
  expect(events.map(({ user, data }) => [user, (data as { error?: { code: string } }).error?.code])).toEqual([
    ...Array(3).fill([undefined, undefined]),
    [undefined, 'E_TAP_CANCELLED'],
    ...Array(3).fill(['ann', undefined]),
    ['ann', 'E_TAP_INTERRUPTED'],
  ])
})

test('without a log everything works, and a log that comes later is used', async () => {
  const { place } = await embeddedWorld()
  let isThere = false
  const tap = startTap(
    async () => {
      if (!isThere) throw new Error('not yet')
      const bus = await openBus(place)
      return { bus, close: () => bus.close() }
    },
    { name: 'desk' },
  )
  const url = await listening(createServer(expressApp(tap)))
  expect(await (await fetch(`${url}/reports/1`)).text()).toBe('report 1')
  expect(tap.status).toMatchObject({ log: 'away', calls: 1, waiting: 1 })
  isThere = true
  await until(() => tap.status.log === 'ok')
  expect(await (await fetch(`${url}/reports/2`)).text()).toBe('report 2')
  await tap.stop()
  const bus = await openBus(place)
  onTestFinished(() => bus.close())
  await recordedBy(bus, '/taps/desk', /^http\./, 4)
})
