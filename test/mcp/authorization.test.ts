import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { discoverOAuthProtectedResourceMetadata } from '@modelcontextprotocol/client'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { policyFile } from '../lib/identity.ts'
import { embeddedWorld } from '../lib/world.ts'
import { httpClient, post, textOf } from './clients.ts'
import { gatewayOn, shop } from './shop.ts'
import { serving } from '../lib/serving.ts'

/* The gateway as a resource server of OAuth, as MCP clients find it. */

const audience = 'https://shop.example/mcp'

/** Signs tokens, and serves its key. */
async function issuer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const server = createServer(
    serving(async (_, outgoing) =>
      outgoing
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ keys: [await exportJWK(publicKey)] })),
    ),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const token = (scope: string, aud = audience) =>
    new SignJWT({ scope })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(address)
      .setSubject('ann')
      .setAudience(aud)
      .setExpirationTime('5m')
      .sign(privateKey)
  return { address, token }
}

test('a client without a token learns where to get one, and with which scope', async () => {
  const on = await embeddedWorld()
  await on.worker(shop)
  const { address, token } = await issuer()
  const roles = { caller: { publish: ['agent.*'], read: ['agent.*'] }, reader: { read: ['agent.*'] } }
  const jwt = { issuer: address, audience: ['tidings', audience], jwks: `${address}/keys`, claims: { roles: 'scope' } }
  const { url } = await gatewayOn(on, { policy: await policyFile({ roles, jwt }) })

  const refused = await post(url, 'tools/list')
  expect(refused.status).toBe(401)
  const metadata = `${url}/.well-known/oauth-protected-resource/mcp`
  expect(refused.headers.get('www-authenticate')).toBe(`Bearer resource_metadata="${metadata}", scope="caller"`)
  const document = await discoverOAuthProtectedResourceMetadata(`${url}/mcp`)
  expect(document).toMatchObject({
    resource: audience,
    authorization_servers: [address],
    scopes_supported: ['caller', 'reader'],
    bearer_methods_supported: ['header'],
  })
  expect((await fetch(`${url}/.well-known/oauth-protected-resource`)).status).toBe(200)

  const client = await httpClient(url, '2026-07-28', { key: await token('caller') })
  expect(textOf(await client.callTool({ name: 'greeter', arguments: { input: 'Ann' } }))).toBe('Hello, Ann!')
  for (const aud of ['https://other.example/mcp', 'tidings.example']) {
    const wrong = await post(url, 'tools/list', {}, { key: await token('caller', aud) })
    expect(wrong.status).toBe(401)
    expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"')
  }
  const call = { name: 'greeter', arguments: { input: 'Ann' } }
  const reader = await post(url, 'tools/call', call, { key: await token('reader') })
  expect(reader.status).toBe(403)
  expect(reader.headers.get('www-authenticate')).toBe(
    `Bearer resource_metadata="${metadata}", error="insufficient_scope", scope="caller"`,
  )
})

test('a gateway that accepts only API keys names no issuer', async () => {
  const on = await embeddedWorld()
  const { url } = await gatewayOn(on, { policy: await policyFile({ roles: {} }) })
  expect((await post(url, 'tools/list')).headers.get('www-authenticate')).toBe('Bearer')
  const answer = await fetch(`${url}/.well-known/oauth-protected-resource/mcp`)
  expect(answer.status).toBe(404)
  expect(await answer.json()).toMatchObject({
    error: { code: 'E_NOT_FOUND', next: expect.stringContaining('API key') },
  })
})
