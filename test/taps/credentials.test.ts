import http from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import type { CloudEvent } from '../../src/event.ts'
import { serving } from '../lib/serving.ts'
import { embeddedWorld } from '../lib/world.ts'
import { listening } from './lib/listening.ts'
import { modelTapped, post } from './lib/model-tapped.ts'
import { httpTapped, mcpTapped } from './lib/tapped.ts'

/* Credentials as providers take them, none of which has a form that redaction knows, in every place from which they could get to the log. */

let made = 0
const secret = () => `Qz${(++made).toString().padStart(2, '0')}xVtRw9LmPq4Kd7`

const headers = {
  authorization: `Bearer ${secret()}`, 'api-key': secret(), 'x-api-key': secret(), apikey: secret(), 'x-goog-api-key': secret(), 'x-amz-security-token': secret(),
  'ocp-apim-subscription-key': secret(), cookie: `theme=dark; sid=${secret()}`, 'x-custom-auth': secret(), dpop: secret(), 'cf-access-client-secret': secret(),
  'proxy-authorization': `Basic ${secret()}`, referer: `https://shop.example/?access_token=${secret()}&page=2`,
} // biome-ignore format: one table
const query = `api-version=2026-01-01&key=${secret()}&apiKey=${secret()}&access_token=${secret()}&sig=${secret()}&X-Amz-Signature=${secret()}&X-Goog-Credential=${secret()}`
const signed = `https://files.example/a?X-Amz-Credential=${secret()}&X-Amz-Signature=${secret()}&part=1`
const form = `user=ann&password=${secret()}&client_secret=${secret()}&refresh_token=${secret()}`

/** Answers with all that it got, as a service for debugging does, or an error that names the key. */
const echo = http.createServer(
  serving(async (incoming, outgoing) => {
    const body = await text(incoming)
    outgoing.writeHead(incoming.url?.includes('refuse') ? 401 : 200, {
      'content-type': 'application/json',
      'set-cookie': `sid=${secret()}`,
      location: signed,
    })
    const error = {
      message: `Incorrect API key provided: ${incoming.headers['api-key'] as string}. Header: ${incoming.headers.authorization}`,
    }
    const id = (JSON.parse(body.startsWith('{') ? body : '{}') as { id?: unknown }).id
    const result = {
      content: [{ type: 'text', text: JSON.stringify({ headers: incoming.headers, url: incoming.url }) }],
      isError: true,
    }
    outgoing.end(
      JSON.stringify({
        error: incoming.url?.includes('refuse') ? error : undefined,
        headers: incoming.headers,
        url: incoming.url,
        id,
        result,
        jsonrpc: '2.0',
      }),
    )
  }),
)

function expectNone(events: readonly CloudEvent[]): void {
  const json = JSON.stringify(events)
  const found = Array.from({ length: made }, (_, i) => new RegExp(`Qz${String(i + 1).padStart(2, '0')}xVtRw9LmPq4Kd7`))
  expect(json.match(/.{60}Qz\d\dxVtRw9LmPq4Kd7/g) ?? []).toEqual([])
  expect(found.some(each => each.test(json))).toBe(false)
}

test('no credential of a request for a model is on the log, whatever the provider takes, and even if it repeats them', async () => {
  const { url, recorded } = await modelTapped(await embeddedWorld(), await listening(echo))
  const body = { model: 'any-1', messages: [{ role: 'user', content: 'hi' }] }
  const { model: _, ...unnamed } = body
  await (await post(`${url}/openai/deployments/any-2/chat/completions?${query}`, unnamed, headers)).text()
  await (await post(`${url}/refuse/v1/messages?${query}`, body, headers)).text()
  const events = await recorded(/^model\./, 4)
  expect(JSON.stringify(events)).toContain('api-version=2026-01-01')
  expect(JSON.stringify(events)).toContain('page=2')
  expect(events.map(({ subject }) => subject)).toContain('any-2')
  expectNone(events)
})

test('no credential of HTTP is on the log, nor what a form has', async () => {
  const { url, recorded } = await httpTapped(await embeddedWorld(), await listening(echo), { routes: ['POST /*'] })
  const types = { ...headers, 'content-type': 'application/x-www-form-urlencoded' }
  await (await post(`${url}/login?${query}`, form, types)).text()
  const events = await recorded(/^http\./, 2)
  expect(events[0]!.data).toMatchObject({ body: { form: { user: 'ann', password: '[redacted credential]' } } })
  expectNone(events)
})

test('no credential of an MCP client is on the log', async () => {
  const { url, recorded } = await mcpTapped(await embeddedWorld(), await listening(echo))
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add', arguments: {} } }
  await (await post(`${url}/mcp?${query}`, call, headers)).text()
  await (await post(`${url}/refuse?${query}`, { ...call, id: 2 }, headers)).text()
  expectNone(await recorded(/^tool\./, 4))
})
