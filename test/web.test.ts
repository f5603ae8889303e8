import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { expect, it, onTestFinished } from 'vitest'
import { agent } from '../src/agents/agent.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import type { Principal } from '../src/gateway/identity/principal.ts'
import { collect } from '../src/testing/wait.ts'
import { underPrefix, type Fetch } from '../src/runtime/web.ts'
import { bearer, everything, keyFor, policyFile } from './lib/identity.ts'
import { onEveryBus } from './lib/world.ts'

/* The gateway as a web-standard handler, in a server of the app. */

const greeter = agent('greeter', { run: (_, name: string) => `Hello, ${name}.` })

/** An address under which a handler answers. */
async function served(handler: Fetch): Promise<string> {
  const server = createServer((incoming, outgoing) => void getRequestListener(handler)(incoming, outgoing))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const mounts: Record<string, (running: RunningApp) => Fetch> = {
  'in Hono': ({ fetch }) => {
    const site = new Hono().get('/', c => c.text('the site')).mount('/api/tidings', fetch)
    return async request => site.fetch(request)
  },
  'in a framework that passes the whole path': ({ fetch }) => underPrefix('/api/tidings', fetch),
}

const invoke = { type: 'agent.invoke', target: 'greeter', data: { input: 'Ada' } }
const json = { 'content-type': 'application/json' }

onEveryBus(world => {
  it.each(Object.keys(mounts))('takes events and streams what follows, %s', async name => {
    const running = await (await world()).worker({ use: [greeter] })
    const base = `${await served(mounts[name]!(running))}/api/tidings`
    const published = await fetch(`${base}/events`, { method: 'POST', headers: json, body: JSON.stringify(invoke) })
    expect(published.status).toBe(202)
    const { correlationid } = (await published.json()) as { correlationid: string }

    const stream = await fetch(`${base}/events/stream?correlation=${correlationid}`)
    expect(stream.headers.get('content-type')).toBe('text/event-stream')
    let text = ''
    for await (const part of stream.body!.pipeThrough(new TextDecoderStream())) {
      text += part
      if (text.includes('"output":"Hello, Ada."')) break
    }
    expect(text).toMatch(/^retry: 1000\nid: \S+\n\n[^]*event: agent\.invoke\n[^]*event: agent\.task\.completed\n/)
    expect((await fetch(`${base}/health`)).status).toBe(200)
    expect((await fetch(`${base}/nothing`)).status).toBe(404)
  })

  it('refuses pages of other origins, and bodies that are not events', async () => {
    const { fetch: handle } = await (await world()).worker({ use: [greeter] })
    const post = (body: string, headers: Record<string, string> = {}) =>
      handle(new Request('https://shop.example/events', { method: 'POST', headers: { ...json, ...headers }, body }))
    expect((await post(JSON.stringify(invoke), { origin: 'https://evil.example' })).status).toBe(403)
    expect((await post(JSON.stringify(invoke), { origin: 'https://shop.example' })).status).toBe(202)
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
