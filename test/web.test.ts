import { once } from 'node:events'
import { createServer, request as send, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import type { Principal } from '../src/gateway/identity/principal.ts'
import { model } from '../src/models/model.ts'
import { underPrefix, type Fetch } from '../src/runtime/web.ts'
import { collect } from '../src/testing/wait.ts'
import { bearer, everything, keyFor, policyFile } from './lib/identity.ts'
import { plainModel } from './lib/plain-model.ts'
import { onAnyBus } from './lib/world.ts'

/* The gateway as a web-standard handler, in a server of the app. */

const greeter = agent('greeter', { run: (_, name: string) => `Hello, ${name}.` })
const writer = () => agent('writer', { model: model(plainModel(() => 'Ahoy.').model), instructions: 'Greet.' })

/** An address under which a listener answers. */
async function served(listener: (...request: Parameters<RequestListener>) => unknown): Promise<string> {
  const server = createServer((incoming, outgoing) => void listener(incoming, outgoing)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A proxy that serves a server below `/app`, and says so in headers. */
const proxyOf = (target: string): Promise<string> =>
  served((incoming, outgoing) => {
    const { method, url = '', headers } = incoming
    if (!url.startsWith('/app/')) return void outgoing.writeHead(404).end()
    const forwarded = {
      'x-forwarded-proto': 'http',
      'x-forwarded-host': headers.host,
      'x-forwarded-prefix': '/app',
    }
    const own = { ...headers, ...forwarded, host: new URL(target).host }
    const upstream = send(new URL(url.slice('/app'.length), target), { method, headers: own }, response => {
      outgoing.writeHead(response.statusCode!, response.headers)
      response.pipe(outgoing)
    })
    incoming.pipe(upstream)
    outgoing.on('close', () => upstream.destroy())
  })

/** Servers with the handler below `/api/tidings`, as docs/guides/embedding.md shows them. */
const mounts: Record<string, (handler: Fetch) => Promise<string>> = {
  Hono: handler => {
    const site = new Hono().get('/', c => c.text('the site')).all('/api/tidings/*', c => handler(c.req.raw))
    return served(getRequestListener(site.fetch))
  },
  Express: handler => served(express().all('/api/tidings/*path', getRequestListener(handler))),
  async Fastify(handler) {
    const listener = getRequestListener(handler)
    const server = fastify()
    server.register(async tidings => {
      tidings.removeAllContentTypeParsers()
      tidings.addContentTypeParser('*', (_request, _body, done) => done(null))
      tidings.all('/api/tidings/*', (request, reply) => {
        reply.hijack()
        return listener(request.raw, reply.raw)
      })
    })
    onTestFinished(() => server.close())
    return server.listen({ port: 0, host: '127.0.0.1' })
  },
  'a framework that calls it with the whole request, such as Next': handler => served(getRequestListener(handler)),
}

const invoke = { type: 'agent.invoke', target: 'greeter', data: { input: 'Ada' } }
const json = { 'content-type': 'application/json' }
const picture = 'the bytes of a picture'

/** Reads a stream until it contains a text. */
async function readUntil(response: Response, wanted: string): Promise<string> {
  let text = ''
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    text += part
    if (text.includes(wanted)) return text
  }
  return text
}

/** What a page of the same origin does, with the address of the gateway only. Links are followed as they come. */
async function useGateway(base: string): Promise<void> {
  const page = { origin: new URL(base).origin }
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${base}${path}`, { method: 'POST', headers: { ...page, ...json, ...headers }, body: JSON.stringify(body) })
  const follow = (response: Response) => fetch(new URL(response.headers.get('location')!, response.url))

  const published = await post('/events', invoke)
  expect(published.status).toBe(202)
  const stream = await follow(published)
  expect(stream.headers.get('content-type')).toBe('text/event-stream')
  expect(await readUntil(stream, '"output":"Hello, Ada."')).toMatch(
    /^retry: 1000\n[^]*event: agent\.invoke\n[^]*event: agent\.task\.completed\n/,
  )

  const asked = await post('/agents/greeter', { input: 'Bob' }, { prefer: 'wait=20' })
  expect(asked.status).toBe(200)
  for (const response of [asked, await follow(asked)])
    expect(await response.json()).toMatchObject({ status: 'completed', output: 'Hello, Bob.' })

  const id = crypto.randomUUID()
  const url = `data:image/png;base64,${btoa(picture)}`
  const parts = [{ type: 'file', mediaType: 'image/png', url }]
  const chat = await post('/ui/chat/writer', { id, messages: [{ id: 'm1', role: 'user', parts }] })
  expect(chat.headers.get('x-vercel-ai-ui-message-stream')).toBe('v1')
  expect(await readUntil(chat, '[DONE]')).toMatch(/"delta":"Ahoy\."[^]*"type":"finish"/)
  const history = await (await fetch(`${base}/ui/chat/writer/${id}`)).json()
  const shown = (history as { messages: { parts: { url: string }[] }[] }).messages[0]!.parts[0]!.url
  expect(shown).toMatch(new RegExp(`^${base}/blobs/sha256-`))
  expect(await (await fetch(shown)).text()).toBe(picture)

  expect((await fetch(`${base}/health`)).status).toBe(200)
  expect((await fetch(`${base}/nothing`)).status).toBe(404)
  await loadConsole(`${base}/`)
}

/** Opens the console as a browser does: its links lead to its own files, from its first page and from those below. */
async function loadConsole(base: string): Promise<void> {
  for (const path of ['console', 'console/tasks', 'console/tasks/t1?tab=turns']) {
    const page = await fetch(new URL(path, base))
    expect(page.url).toBe(new URL(path.startsWith('console/') ? path : 'console/', base).href)
    const html = await page.text()
    const consoleUrl = new URL(/<base href="([^"]+)"/.exec(html)![1]!, page.url)
    expect(consoleUrl.href).toBe(`${base}console/`)
    for (const link of [/src="(\.\/assets\/[^"]+\.js)"/.exec(html)![1]!, 'icon.svg']) {
      const file = await fetch(new URL(link, consoleUrl))
      expect(file.headers.get('content-type')).toMatch(/^(?:text\/javascript|image\/svg)/)
      await file.arrayBuffer()
    }
  }
}

onAnyBus(world => {
  it.each(Object.keys(mounts))(
    'serves a page all it needs below a prefix, alone and behind a proxy, in %s',
    async name => {
      const running = await (await world()).worker({ use: [greeter, writer()] })
      const server = await mounts[name]!(underPrefix('/api/tidings', running.fetch))
      await useGateway(`${server}/api/tidings`)
      await useGateway(`${await proxyOf(server)}/app/api/tidings`)
    },
  )

  it('refuses pages of other origins, and bodies that are not events', async () => {
    const { fetch: handle } = await (await world()).worker({ use: [greeter] })
    const post = (body: string, headers: Record<string, string> = {}) =>
      handle(new Request('https://shop.example/events', { method: 'POST', headers: { ...json, ...headers }, body }))
    expect((await post(JSON.stringify(invoke), { origin: 'https://evil.example' })).status).toBe(403)
    expect((await post(JSON.stringify(invoke), { origin: 'https://shop.example' })).status).toBe(202)
    const forwarded = { origin: 'https://evil.example', 'x-forwarded-host': 'shop.example' }
    expect((await post(JSON.stringify(invoke), forwarded)).status).toBe(403)
    expect(await (await post('{')).json()).toMatchObject({ error: { code: 'E_EVENT_INVALID' } })
  })

  it('takes the word of the server for who sends a request, and else asks for a credential if there is a policy', async () => {
    const policy = await policyFile({ roles: { all: everything } })
    const running = await (await world()).worker({ use: [greeter] }, { policy })
    const request = (path: string, headers: Record<string, string> = {}) =>
      new Request(`http://shop.example${path}`, {
        method: 'POST',
        headers: { ...json, ...headers },
        body: '{"type":"a.b"}',
      })
    expect((await running.fetch(request('/events'))).status).toBe(401)
    const key = await keyFor(running.bus, 'bob', 'all', 'rival')
    expect((await running.fetch(request('/events', bearer(key)))).status).toBe(202)
    const ann: Principal = { tenant: 'acme', user: 'ann', may: (_, type) => type === 'a.b' }
    expect((await running.fetchAs(ann, request('/events'))).status).toBe(202)
    expect((await running.fetchAs(ann, request('/agents/greeter'))).status).toBe(403)
    for (const wrong of [undefined, {}, { tenant: 'Acme', may: () => true }, { tenant: 'acme' }, { ...ann, user: '' }])
      await expect(running.fetchAs(wrong as never, request('/events'))).rejects.toMatchObject({
        code: 'E_REQUEST_INVALID',
      })
    const events = (await collect(running.bus.read({ filter: [{ types: ['a.b'] }] }))).map(({ event }) => event)
    expect(events.map(({ tenant, user }) => `${tenant} ${user}`).toSorted()).toEqual(['acme ann', 'rival bob'])
  })

  it('ends its streams when the app stops', async () => {
    const created = await world()
    const running = await created.worker({ use: [greeter] })
    const stream = await running.fetch(new Request('http://shop.example/events/stream'))
    await created.stop()
    expect(await stream.text()).toMatch(/^retry: 1000\nid: \S+\n\nevent: closed\n/)
  })
})
