import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { expect, it, onTestFinished } from 'vitest'
import { openNats } from '../../src/drivers/nats/index.ts'
import { createEvent } from '../../src/event.ts'
import { selfSigned } from '../../src/testing/certificate.ts'
import { startNatsCluster } from '../../src/testing/nats/cluster.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { dataFolder, server } from './lib/broker.ts'

/* Each option of TIDINGS_BUS against a server that asks for it. */

/** Opens the log, writes and reads. */
async function works(url: string) {
  const driver = await openNats({ url, shards: 1 })
  onTestFinished(() => driver.close())
  const event = createEvent({ type: 'order.placed', data: 1 })
  await driver.publish([{ event, json: JSON.stringify(event) }])
  expect(await driver.get(event.id, event.correlationid)).toMatchObject({ event })
  return driver
}

const refused = (url: string) =>
  expect(openNats({ url: `${url}${url.includes('?') ? '&' : '?'}timeout=1000` })).rejects.toMatchObject({
    code: 'E_BUS_DENIED',
  })

async function files(texts: Record<string, string>): Promise<(name: string) => string> {
  const folder = await dataFolder()
  const path = (name: string) => join(folder, name)
  await Promise.all(Object.entries(texts).map(([name, text]) => writeFile(path(name), text)))
  return path
}

describeNatsServer('TIDINGS_BUS takes', () => {
  it('a user and a password, percent-encoded', async () => {
    const { port } = await server({ auth: { user: 'ann', password: 'p@ss/word:1' } })
    await works(`nats://ann:p%40ss%2Fword%3A1@127.0.0.1:${port}/log`)
    await refused(`nats://ann:other@127.0.0.1:${port}/log`)
    await refused(`nats://127.0.0.1:${port}/log`)
  })

  it('a token', async () => {
    const { port } = await server({ auth: { token: 's3cret' } })
    await works(`nats://s3cret@127.0.0.1:${port}/log`)
    await refused(`nats://other@127.0.0.1:${port}/log`)
  })

  it('an nkey', async () => {
    const [mine, other] = [nkeys.createUser(), nkeys.createUser()]
    const path = await files({ mine: seedOf(mine), other: seedOf(other) })
    const { port } = await server({ config: `authorization { users: [{ nkey: ${mine.getPublicKey()} }] }` })
    await works(`nats://127.0.0.1:${port}/log?nkey=${path('mine')}`)
    await refused(`nats://127.0.0.1:${port}/log?nkey=${path('other')}`)
  })

  it('credentials that an operator has signed', async () => {
    const [operator, account, system, user] = [
      nkeys.createOperator(),
      nkeys.createAccount(),
      nkeys.createAccount(),
      nkeys.createUser(),
    ]
    const limits = { subs: -1, conn: -1, leaf: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true }
    const stored = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
    const accountJwt = jwt(operator, account, { type: 'account', limits: { ...limits, ...stored } })
    const { port } = await server({
      config: [
        `operator: ${jwt(operator, operator, { type: 'operator' })}`,
        `system_account: ${system.getPublicKey()}`,
        'resolver: MEMORY',
        'resolver_preload {',
        `  ${account.getPublicKey()}: ${accountJwt}`,
        `  ${system.getPublicKey()}: ${jwt(operator, system, { type: 'account', limits })}`,
        '}',
      ].join('\n'),
    })
    const creds = (text: string) =>
      `-----BEGIN NATS USER JWT-----\n${text}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seedOf(user)}\n------END USER NKEY SEED------\n`
    const claims = { type: 'user', subs: -1, data: -1, payload: -1 }
    const path = await files({
      mine: creds(jwt(account, user, claims)),
      forged: creds(jwt(nkeys.createAccount(), user, claims)),
    })
    await works(`nats://127.0.0.1:${port}/log?creds=${path('mine')}`)
    await refused(`nats://127.0.0.1:${port}/log?creds=${path('forged')}`)
  })

  it('TLS, with an authority and a certificate of its own', async () => {
    const { cert, key } = selfSigned()
    const path = await files({ cert, key })
    const own = await server({ tls: { cert: path('cert'), key: path('key') } })
    await works(`tls://127.0.0.1:${own.port}/log?ca=${path('cert')}`)
    await works(`nats://localhost:${own.port}/log?ca=${path('cert')}`)
    await expect(openNats({ url: `tls://127.0.0.1:${own.port}/log?timeout=1000` })).rejects.toThrow(/self-signed/)
    const mutual = await server({ tls: { cert: path('cert'), key: path('key'), ca: path('cert') } })
    await works(`tls://127.0.0.1:${mutual.port}/log?ca=${path('cert')}&cert=${path('cert')}&key=${path('key')}`)
    await expect(
      openNats({ url: `tls://127.0.0.1:${mutual.port}/log?ca=${path('cert')}&timeout=1000` }),
    ).rejects.toThrow()
  })

  it('several servers, and copies', async () => {
    const cluster = await startNatsCluster(3)
    onTestFinished(() => cluster.stop())
    const hosts = cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')
    const driver = await works(`nats://${hosts}/log?replicas=3`)
    expect(await driver.durability()).toMatchObject({ survives: 'power', detail: expect.stringContaining('3 copies') })
  }, 60_000)

  it('a monitoring page', async () => {
    const { port, monitorUrl } = await server({ syncAlways: true })
    const driver = await works(`nats://127.0.0.1:${port}/log?monitor=${monitorUrl}`)
    expect(await driver.durability()).toMatchObject({ survives: 'power' })
  })
})

const seedOf = (pair: ReturnType<typeof nkeys.createUser>) => new TextDecoder().decode(pair.getSeed())

/** What `nsc` would write. Source: github.com/nats-io/jwt, version 2. */
function jwt(issuer: ReturnType<typeof nkeys.createUser>, subject: typeof issuer, claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = {
    iat: Math.floor(Date.now() / 1_000),
    iss: issuer.getPublicKey(),
    name: 'test',
    sub: subject.getPublicKey(),
    nats: { ...claims, version: 2 },
  }
  const jti = createHash('sha256').update(JSON.stringify(body)).digest('base64url')
  const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ jti, ...body })}`
  return `${text}.${Buffer.from(issuer.sign(new TextEncoder().encode(text))).toString('base64url')}`
}
