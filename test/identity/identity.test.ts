import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { writeFile } from 'node:fs/promises'
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWK } from 'jose'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { createKey, revokeKey } from '../../src/gateway/identity/api-keys.ts'
import { Identity } from '../../src/gateway/identity/identity.ts'
import { startGateway, type GatewayOptions } from '../../src/gateway/gateway.ts'
import { startStandby } from '../../src/gateway/standby.ts'
import { TidingsError } from '../../src/errors.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { SystemClock } from '../../src/testing/memory/clock.ts'
import { MemoryDriver } from '../../src/testing/memory/driver.ts'
import { MemoryLog } from '../../src/testing/memory/log.ts'
import { bearer, everything, keyFor, policyFile } from '../lib/identity.ts'

/* Who sends a request, and what they may do. */

const log = () => new MemoryLog({ clock: new SystemClock(() => Date.now()) })
const openBus = (on = log()) => new Bus(new MemoryDriver(on))
const json = { 'content-type': 'application/json' }

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: { error?: { code: string; message: string; next: string } } & Record<string, unknown>
}

/** A gateway that knows who calls. */
async function guarded(policy: unknown = { roles: { all: everything } }, more: Partial<GatewayOptions> = {}) {
  const on = log()
  const bus = openBus(on)
  const file = await policyFile(policy)
  const gateway = await startGateway({ bus, port: 0, policy: file, ...more })
  onTestFinished(async () => {
    await gateway.stop()
    await bus.close()
  })
  const ask = async (path: string, secret?: string, init: RequestInit = {}): Promise<Answer> => {
    const headers = { ...(secret !== undefined && bearer(secret)), ...(init.headers as object) }
    const response = await fetch(`${gateway.url}${path}`, { ...init, headers })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : {} }
  }
  const post = (body: unknown, secret?: string, headers: object = {}) =>
    ask('/events', secret, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) })
  const events = async () => (await collect(bus.read({}))).map(({ event }) => event)
  return { on, bus, file, url: gateway.url, ask, post, events }
}

test('a gateway that other machines reach does not start without a policy, nor does what stands in for it', async () => {
  const bus = openBus()
  const refused = expect.objectContaining({
    code: 'E_IDENTITY_MISSING',
    next: expect.stringContaining('TIDINGS_POLICY'),
  })
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'shop.example']) {
    await expect(startGateway({ bus, port: 0, host })).rejects.toEqual(refused)
    await expect(startStandby('nats', { port: 0, host }, () => new TidingsError('E_BUSY', ''))).rejects.toEqual(refused)
  }
  const policy = await policyFile({ roles: {} })
  const gateway = await startGateway({ bus, port: 0, host: '0.0.0.0', policy })
  expect((await fetch(`http://127.0.0.1:${gateway.port}/health`)).status).toBe(200)
  await gateway.stop()
})

test('without a credential health shows only the status, and nothing else answers', async () => {
  const { bus, ask, post, events } = await guarded({ roles: { all: everything, reader: { read: ['>'] } } })
  expect(await ask('/health')).toMatchObject({ status: 200, body: { status: 'ok' } })
  expect(Object.keys((await ask('/health')).body)).toEqual(['status'])
  const paths = ['/metrics', '/events/stream', '/approvals', '/nothing']
  for (const path of paths)
    expect(await ask(path)).toMatchObject({ status: 401, body: { error: { code: 'E_CREDENTIAL_UNKNOWN' } } })
  expect((await ask('/metrics')).headers.get('www-authenticate')).toBe('Bearer')
  expect((await post({ type: 'a.b' })).status).toBe(401)
  expect(await events()).toEqual([])
  const [all, reader] = [await keyFor(bus, 'root'), await keyFor(bus, 'reader', 'reader')]
  expect((await ask('/health', all)).body).toMatchObject({ status: 'ok', bus: 'memory' })
  expect((await ask('/metrics', all)).status).toBe(200)
  expect(await ask('/metrics', reader)).toMatchObject({ status: 403, body: { error: { code: 'E_FORBIDDEN' } } })
  expect(Object.keys((await ask('/health', reader)).body)).toEqual(['status'])
})

test('tenant, user and source come from the key, and a role permits only its types', async () => {
  const { bus, post, events } = await guarded({
    roles: { clerk: { publish: ['order.*'] }, local: { publish: ['>'], tenants: ['default'] } },
  })
  const clerk = await keyFor(bus, 'ann', 'clerk', 'acme')
  const { status, body } = await post({ type: 'order.paid', id: 'order-7', source: '/agents/clerk' }, clerk)
  expect([status, body.ids]).toEqual([202, ['@acme:order-7']])
  for (const draft of [
    { type: 'order.paid', tenant: 'default' },
    { type: 'order.paid', user: 'bob' },
  ])
    expect(await post(draft, clerk)).toMatchObject({ status: 400, body: { error: { code: 'E_EVENT_INVALID' } } })
  for (const type of ['orders.paid', 'order', 'agent.invoke'])
    expect(await post({ type, target: 'x', data: { input: 1 } }, clerk)).toMatchObject({
      status: 403,
      body: { error: { code: 'E_FORBIDDEN', message: `"ann" may not publish ${type}` } },
    })
  // The role counts in its tenants only.
  expect((await post({ type: 'a.b' }, await keyFor(bus, 'eve', 'local', 'acme'))).status).toBe(403)
  expect((await post({ type: 'a.b' }, await keyFor(bus, 'eve', 'local'))).status).toBe(202)
  expect((await post({ type: 'a.b' }, await keyFor(bus, 'eve', 'gone'))).status).toBe(403)
  expect((await events()).map(({ source, tenant, user, id }) => [source, tenant, user, id])).toEqual([
    ['/gateway', 'acme', 'ann', '@acme:order-7'],
    ['/gateway', 'default', 'eve', expect.any(String)],
  ])
})

test('two tenants may use the same id, and neither enters a correlation or task of the other', async () => {
  const { bus, post, events } = await guarded()
  const [ann, bob, carl] = [
    await keyFor(bus, 'ann', 'all', 'acme'),
    await keyFor(bus, 'bob', 'all', 'rival'),
    await keyFor(bus, 'carl'),
  ]
  const first = await post({ type: 'a.b', id: 'one' }, ann)
  for (const other of [bob, carl]) {
    const answer = await post({ type: 'a.b', id: 'one' }, other)
    expect([answer.status, answer.body.duplicates]).toEqual([202, undefined])
    expect(JSON.stringify(answer.body)).not.toContain(first.body.correlationid)
  }
  expect((await post({ type: 'a.b', id: 'one' }, ann)).body.duplicates).toEqual(['@acme:one'])
  expect((await post({ type: 'a.b', id: 'x'.repeat(235) }, ann)).status).toBe(400)

  const correlationid = first.body.correlationid
  const foreign = { status: 404, body: { error: { code: 'E_NOT_FOUND' } } }
  const count = (await events()).length
  expect(await post({ type: 'a.c', correlationid }, bob)).toMatchObject(foreign)
  // Derived from an id of acme that is not on the log yet: only acme may begin it.
  const guessed = '48e8a918-213b-8590-aa0d-1ca4f5bfe25a'
  expect(await post({ type: 'a.c', correlationid: guessed }, bob)).toMatchObject(foreign)
  const subject = `${String(correlationid)}.0123456789`
  for (const [type, data] of [
    ['agent.cancel', { reason: '' }],
    ['agent.message', { message: '' }],
  ])
    for (const secret of [ann, bob])
      expect(await post({ type, target: 'clerk', subject, data }, secret)).toMatchObject(foreign)
  expect(await events()).toHaveLength(count)
  expect((await post({ type: 'a.c', correlationid }, ann)).status).toBe(202)
  expect((await post({ type: 'a.c', correlationid: crypto.randomUUID() }, bob)).status).toBe(202)
})

test('a key works at once, and is refused within seconds after it was revoked, or when it has expired', async () => {
  const { on, post } = await guarded()
  const other = openBus(on)
  const { id, secret } = await createKey(other, { name: 'ann', tenant: 'default', roles: ['all'] })
  expect((await post({ type: 'a.b' }, secret)).status).toBe(202)
  const passing = await createKey(other, {
    name: 'ann',
    tenant: 'default',
    roles: ['all'],
    expiresAt: new Date(Date.now() + 400).toISOString(),
  })
  expect((await post({ type: 'a.b' }, passing.secret)).status).toBe(202)
  await until(async () => (await post({ type: 'a.b' }, passing.secret)).status === 401)
  await revokeKey(other, id)
  await until(async () => (await post({ type: 'a.b' }, secret)).status === 401)
  await expect(revokeKey(other, id)).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
  const stored = JSON.stringify(await other.documents.read('keys'))
  for (const text of [secret, passing.secret]) expect(stored).not.toContain(text.split('_')[2]!.slice(0, 20))
})

test('a ticket stands for its credential once, over all gateways', async () => {
  const { on, bus, file, ask } = await guarded()
  const secret = await keyFor(bus, 'ann', 'all', 'acme')
  const other = openBus(on)
  const identities = [new Identity(bus, file), new Identity(other, file), new Identity(other, file)]
  onTestFinished(() => identities.forEach(identity => identity.close()))
  const { status, body } = await ask('/tickets', secret, { method: 'POST' })
  expect([status, Date.parse(body.expiresAt as string) - Date.now() > 20_000]).toEqual([201, true])
  const ticket = body.ticket as string
  const redeem = (text: string) => identities.map(each => each.identify({ ticket: text, address: '', bytes: 0 }))
  const redeemed = await Promise.allSettled(redeem(ticket))
  const accepted = redeemed.filter(each => each.status === 'fulfilled')
  expect(accepted.map(({ value }) => [value!.tenant, value!.user])).toEqual([['acme', 'ann']])
  expect((await ask(`/events/stream?ticket=${ticket}`)).status).toBe(401)
  // As a bearer, changed, and made up.
  expect((await ask('/health', ticket)).status).toBe(401)
  const { body: next } = await ask('/tickets', secret, { method: 'POST' })
  const [claims, mac] = (next.ticket as string).split('.') as [string, string]
  const forged = Buffer.from(JSON.stringify({ id: 'x', expires: 9e15, credential: { tenant: 'acme' } })).toString(
    'base64url',
  )
  for (const text of [`${claims}x.${mac}`, `${claims}.`, `tidings_ticket_${forged}.${mac}`, claims, ''])
    expect((await ask(`/events/stream?ticket=${encodeURIComponent(text)}`)).status).toBe(401)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 31_000 })
  onTestFinished(() => void vi.useRealTimers())
  expect((await ask(`/events/stream?ticket=${next.ticket as string}`)).status).toBe(401)
})

test('only streams take a ticket, and nothing that sends an answer does without the right to read it', async () => {
  const { bus, ask, events, url } = await guarded({ roles: { all: everything, asker: { publish: ['>'] } } })
  const asker = await keyFor(bus, 'web', 'asker', 'acme')
  const post = (body: object, more: object = {}) => ({
    method: 'POST',
    headers: { ...json, ...more },
    body: JSON.stringify(body),
  })
  const ticketed = async (path: string, init: RequestInit) => {
    const { body } = await ask('/tickets', asker, { method: 'POST' })
    return (await ask(`${path}?ticket=${body.ticket as string}`, undefined, init)).status
  }
  const before = await events()
  expect(await ticketed('/agents/clerk', post({ input: 1 }))).toBe(401)
  expect(await ticketed('/tickets', { method: 'POST' })).toBe(401)
  expect(await ticketed('/events/stream', {})).toBe(403)
  const text = { id: 'm1', role: 'user' }
  const posted = {
    '/agents/clerk': post({ input: 1 }, { prefer: 'wait=1' }),
    '/ui/chat/clerk': post({
      id: 'c1',
      messages: [{ ...text, parts: [{ type: 'text', text: 'Hi' }] }],
      trigger: 'submit-message',
    }),
    '/ag-ui/clerk': post({
      threadId: 'c1',
      runId: 'r1',
      state: {},
      tools: [],
      context: [],
      forwardedProps: {},
      messages: [{ ...text, content: 'Hi' }],
    }),
  }
  for (const [path, init] of Object.entries(posted))
    expect([path, (await ask(path, asker, init)).status]).toEqual([path, 403])
  expect(await events()).toEqual(before)
  const all = await keyFor(bus, 'root')
  for (const path of [
    '/events/stream',
    '/events/socket',
    '/tasks/x/stream',
    '/ui/chat/clerk/c1/stream',
    '/ag-ui/clerk/c1',
  ])
    expect([path, (await fetch(`${url}${path}`, { method: 'HEAD', headers: bearer(all) })).status]).toEqual([path, 405])
})

interface Issuer {
  keys: JWK[]
  reads: number
}

test('tokens are checked with the keys that their issuer serves, also after it rotated them', async () => {
  const issuer: Issuer = { keys: [], reads: 0 }
  const server = createServer((_, outgoing) => {
    issuer.reads++
    outgoing.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: issuer.keys }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => server.close().closeAllConnections())
  const key = async (kid: string, alg = 'ES256') => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } }
  }
  const [first, second] = [await key('1'), await key('2', 'RS256')]
  issuer.keys = [first.jwk]
  const { ask, post, events } = await guarded({
    roles: { customer: { publish: ['>'] } },
    jwt: {
      issuer: 'https://id.example/', audience: 'tidings', jwks: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      claims: { tenant: 'org', roles: 'realm.roles' },
    },
  }) // biome-ignore format: one policy
  type Key = Awaited<ReturnType<typeof key>>
  const claims = { org: 'acme', realm: { roles: ['customer', 'other'] } }
  const base = (more: object = {}) => ({ iss: 'https://id.example/', aud: 'tidings', sub: 'ann', ...claims, ...more })
  const signed = ({ privateKey, alg, kid }: Key, more: object = {}, expires: string | number = '5m') =>
    new SignJWT(base(more)).setProtectedHeader({ alg, kid }).setExpirationTime(expires).sign(privateKey)

  expect((await post({ type: 'a.b' }, await signed(first))).status).toBe(202)
  expect(await events()).toMatchObject([{ tenant: 'acme', user: 'ann' }])
  expect((await post({ type: 'a.b' }, await signed(first, { realm: { roles: 'none customer' } }))).status).toBe(202)
  expect((await post({ type: 'a.b' }, await signed(first, { realm: {} }))).status).toBe(403)

  const now = Math.floor(Date.now() / 1_000)
  const [, payload] = (await signed(first)).split('.')
  const text = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const confused = new SignJWT(base()).setProtectedHeader({ alg: 'HS256', kid: '1' }).setExpirationTime('5m')
  const other = await key('1')
  const refused: [string, string][] = [
    ['unsigned', new UnsecuredJWT(base()).setExpirationTime('5m').encode()],
    ['with alg none and a signature', `${text({ alg: 'none', kid: '1' })}.${payload}.${text({})}`],
    ['signed with the public key as a shared secret', await confused.sign(Buffer.from(JSON.stringify(first.jwk)))],
    ['of another key', await signed(other)],
    ['expired', await signed(first, {}, now - 60)],
    ['without an end', await new SignJWT(base()).setProtectedHeader({ alg: 'ES256', kid: '1' }).sign(first.privateKey)],
    ['not valid yet', await signed(first, { nbf: now + 120 })],
    ['of another issuer', await signed(first, { iss: 'https://evil.example/' })],
    ['for another audience', await signed(first, { aud: 'other' })],
    ['without a user', await signed(first, { sub: '' })],
    ['of a person of the command line', await signed(first, { sub: 'cli/root' })],
  ]
  for (const [what, token] of refused) {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() })
    const { status, body } = await ask('/health', token, {})
    vi.useRealTimers()
    expect([what, [401, 429].includes(status), body.error?.code]).toEqual([what, true, 'E_CREDENTIAL_UNKNOWN'])
    expect(JSON.stringify(body)).not.toContain(token)
  }
  for (const org of [undefined, '', 'Acme', '../x', 5, ['acme']])
    expect([org, (await ask('/health', await signed(first, { org }))).status]).toEqual([org, 429])
  // Clocks may differ by half a minute.
  expect((await post({ type: 'a.b' }, await signed(first, {}, now - 10))).status).toBe(202)

  issuer.keys = [second.jwk]
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11_000 })
  onTestFinished(() => void vi.useRealTimers())
  const reads = issuer.reads
  expect((await post({ type: 'a.b' }, await signed(second))).status).toBe(202)
  expect(issuer.reads).toBe(reads + 1)
  for (let i = 0; i < 5; i++) await ask('/health', await signed(await key(`made-up-${i}`)))
  expect(issuer.reads).toBe(reads + 1)
  expect((await post({ type: 'a.b' }, await signed(first))).status).toBe(429)
})

test('a cookie counts only for pages of exactly the origins in the policy', async () => {
  const origins = ['https://shop.example']
  const { bus, url, post } = await guarded({ roles: { all: everything }, cookie: 'session', origins })
  const cookie = `a=b; session=${await keyFor(bus, 'ann')}`
  const status = async (headers: object) => (await post({ type: 'a.b' }, undefined, { cookie, ...headers })).status
  expect(await status({ origin: 'https://shop.example' })).toBe(202)
  expect(await status({ 'sec-fetch-site': 'same-origin' })).toBe(202)
  for (const origin of ['http://shop.example', 'https://shop.example:8443', 'https://shop.example.evil', 'null', url])
    expect([origin, await status({ origin })]).toEqual([origin, 403])
  expect(await status({})).toBe(403)
  expect(await status({ 'sec-fetch-site': 'cross-site' })).toBe(403)
})

test('every response has the security headers, and CORS is for the origins in the policy', async () => {
  const origins = ['https://shop.example']
  const { bus, url, ask, post } = await guarded({ roles: { all: everything }, origins })
  const key = await keyFor(bus, 'ann')
  const stream = await fetch(`${url}/events/stream`, { headers: bearer(key) })
  await stream.body!.cancel()
  const answers = [
    stream,
    await ask('/health'), await ask('/metrics', key), await ask('/nothing', key), await post({ type: 'a.b' }, key), await post('x', key),
    await ask('/health', key, { method: 'DELETE' }), await ask('/health', undefined, { headers: { origin: 'https://evil.example' } }),
  ] // biome-ignore format: one list
  for (const { headers } of answers) {
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('access-control-allow-origin')).toBeNull()
  }
  const preflight = (origin: string) =>
    ask('/events', undefined, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
  const allowed = await preflight('https://shop.example')
  expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([204, 'https://shop.example'])
  expect(allowed.headers.get('access-control-allow-headers')).toContain('Authorization')
  expect((await preflight('https://evil.example')).status).toBe(403)
  const crossed = await post({ type: 'a.b' }, key, { origin: 'https://shop.example' })
  expect([crossed.status, crossed.headers.get('access-control-allow-origin')]).toEqual([202, 'https://shop.example'])
})

test('a credential that sends too much is told when to come back, and others are served', async () => {
  const { bus, post, ask } = await guarded({
    roles: { all: everything },
    limits: { requestsPerMinute: 5, bytesPerMinute: 1_000 },
  })
  const [ann, bob] = [await keyFor(bus, 'ann'), await keyFor(bus, 'bob')]
  for (let i = 0; i < 5; i++) expect((await ask('/health', ann)).status).toBe(200)
  const limited = await ask('/health', ann)
  expect(limited).toMatchObject({ status: 429, body: { error: { code: 'E_RATE_LIMITED' } } })
  expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await post({ type: 'a.b', data: 'x'.repeat(900) }, bob)).status).toBe(202)
  expect((await post({ type: 'a.b', data: 'x'.repeat(900) }, bob)).status).toBe(429)
})

test('a changed policy counts within seconds, and a broken one changes nothing', async () => {
  const { bus, file, ask, post } = await guarded({ roles: { clerk: { publish: ['a.b'] } } })
  const key = await keyFor(bus, 'ann', 'clerk')
  expect((await post({ type: 'a.c' }, key)).status).toBe(403)
  await writeFile(file, JSON.stringify({ roles: { clerk: { publish: ['a.c'] } } }))
  await until(async () => (await post({ type: 'a.c' }, key)).status === 202)
  expect((await post({ type: 'a.b' }, key)).status).toBe(403)
  await writeFile(file, '{ "roles": ')
  await until(async () => (await ask('/health')).status === 200)
  expect((await post({ type: 'a.c' }, key)).status).toBe(202)
})

test.each([
  ['', 'is not JSON'], ['[]', 'expected object'], ['{}', 'roles'], ['{"roles":{"A":{}}}', 'roles.A'],
  ['{"roles":{"a":{"publish":["order.>.x"]}}}', 'roles.a.publish.0: must be a type or a pattern'],
  ['{"roles":{"a":{"reads":[]}}}', 'roles.a: Unrecognized key: "reads"'],
  ['{"roles":{"a":{"tenants":["A"]}}}', 'roles.a.tenants.0'], ['{"roles":{},"origins":["https://a/"]}', 'origins.0: must be an origin'],
  ['{"roles":{},"jwt":{"issuer":"a","audience":"b","jwks":"http://a.example/"}}', 'jwt.jwks: must be an address with https'],
])('a policy that holds %s is refused with its first fault', async (text, problem) => {
  const policy = await policyFile(text)
  const refused = expect.objectContaining({ code: 'E_SETTING_INVALID', message: expect.stringContaining(problem) })
  await expect(startGateway({ bus: openBus(), port: 0, policy })).rejects.toEqual(refused)
}) // biome-ignore format: one table
