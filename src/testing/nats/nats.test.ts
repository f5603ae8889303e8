import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { connect, type ConnectionOptions } from '@nats-io/transport-node'
import { expect, onTestFinished, test } from 'vitest'
import { describeNats, describeNatsServer, natsUrl } from '../../../test/lib/nats.ts'
import { selfSigned } from '../certificate.ts'
import { until } from '../wait.ts'
import { startNatsCluster } from './cluster.ts'
import { natsInfo } from './info.ts'
import { startNats, type Nats, type NatsOptions } from './start.ts'

async function server(options: NatsOptions = {}): Promise<Nats> {
  const nats = await startNats(options)
  onTestFinished(() => nats.stop())
  return nats
}

async function client(nats: { url: string }, options: ConnectionOptions = {}) {
  const connection = await connect({ servers: nats.url, ...options })
  onTestFinished(() => connection.close())
  return connection
}

async function publish(nats: Nats, replicas = 1): Promise<void> {
  const connection = await client(nats)
  const manager = await jetstreamManager(connection)
  const stream = { storage: StorageType.File, retention: RetentionPolicy.Limits, num_replicas: replicas }
  // Three servers may take longer to agree than one request waits.
  const patience = { within: 20_000 }
  await until(() => manager.streams.add({ name: 'kept', subjects: ['kept.>'], ...stream }), patience)
  await until(() => jetstream(connection).publish('kept.one', '', { msgID: 'one' }), patience)
}

async function streams(nats: Nats): Promise<string[]> {
  const manager = await jetstreamManager(await client(nats))
  return (await manager.streams.list().next()).map(({ config, state }) => `${config.name}: ${state.messages}`)
}

const answers = (port: number) =>
  natsInfo('127.0.0.1', port).then(
    () => true,
    () => false,
  )

describeNatsServer('startNats', () => {
  test('starts servers that know nothing of each other, and leaves nothing', async () => {
    const [a, b] = await Promise.all([startNats(), startNats()])
    await publish(a)
    expect(await streams(b)).toEqual([])
    await Promise.all([a.stop(), b.stop()])
    for (const each of [a, b]) expect([await answers(each.port), existsSync(each.dataDir)]).toEqual([false, false])
  })

  test.each(['kill', 'stop'] as const)('after a %s the data and the port are the same', async how => {
    const nats = await server()
    const { port, pid } = nats
    await publish(nats)
    if (how === 'kill') await nats.kill()
    await nats.restart()
    expect({ port: nats.port, same: nats.pid === pid }).toEqual({ port, same: false })
    expect(await streams(nats)).toEqual(['kept: 1'])
    await nats.restart({ empty: true })
    expect(await streams(nats)).toEqual([])
  })

  test('a folder of the caller is kept, and may be used again', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'tidings-nats-kept-'))
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    const first = await startNats({ dataDir })
    await publish(first)
    await first.stop()
    expect(await streams(await server({ dataDir, port: first.port }))).toEqual(['kept: 1'])
  })

  test('a paused server does not answer until it is resumed, and can be stopped', async () => {
    const nats = await server()
    const connection = await client(nats)
    await nats.pause()
    let answered = false
    const flushed = connection.flush().then(() => (answered = true))
    // Another server has answered meanwhile.
    await (await client(await server())).flush()
    expect(answered).toBe(false)
    nats.resume()
    await flushed
    await nats.pause()
    await nats.stop()
    expect(nats.running).toBe(false)
  })

  test('a taken port, a wrong setting and a missing binary are different errors', async () => {
    const { port } = await server()
    await expect(startNats({ port })).rejects.toMatchObject({ code: 'E_PORT_IN_USE' })
    await expect(startNats({ config: 'no_such_setting: 1' })).rejects.toMatchObject({
      code: 'E_BROKER_FAILED',
      message: expect.stringContaining('no_such_setting'),
    })
    await expect(startNats({ path: '/not/there' })).rejects.toMatchObject({ code: 'E_BROKER_FAILED' })
  })

  test('settings reach the server', async () => {
    const nats = await server({ maxPayload: 4_096, syncAlways: true, auth: { user: 'me', password: 'a "word" $X' } })
    await expect(connect({ servers: nats.url })).rejects.toThrow(/authorization/i)
    const { info } = await client(nats, { user: 'me', pass: 'a "word" $X' })
    expect(info).toMatchObject({ max_payload: 4_096 })
    const state = (await (await fetch(`${nats.monitorUrl}/jsz?config=1`)).json()) as { config: object }
    expect(state.config).toMatchObject({ sync_always: true })
    const withToken = await server({ auth: { token: 'secret' } })
    await client(withToken, { token: 'secret' })
  })

  test('TLS, with a certificate of the client too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidings-nats-tls-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const pair = selfSigned()
    await Promise.all([writeFile(cert, pair.cert), writeFile(key, pair.key)])
    const nats = await server({ tls: { cert, key } })
    const { info } = await client(nats, { tls: { ca: pair.cert } })
    expect(info).toMatchObject({ tls_required: true })
    await expect(connect({ servers: nats.url, tls: {} })).rejects.toThrow(/self-signed/)
    const strict = await server({ tls: { cert, key, ca: cert } })
    // With TLS 1.3 the refusal comes after the handshake, and this client waits on.
    await expect(client(strict, { tls: { ca: pair.cert }, timeout: 300 })).rejects.toThrow()
    await client(strict, { tls: { ca: pair.cert, cert: pair.cert, key: pair.key } })
  })

  test('a server ends with the process that started it, also one that was killed', async () => {
    const program = `
      import { startNats } from ${JSON.stringify(join(import.meta.dirname, 'start.ts'))}
      const { port, dataDir } = await startNats()
      console.log(JSON.stringify({ port, dataDir }))
      setInterval(() => {}, 1e6)`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const { port, dataDir } = JSON.parse(String((await once(parent.stdout, 'data'))[0]))
    expect([await answers(port), existsSync(dataDir)]).toEqual([true, true])
    parent.kill('SIGKILL')
    await until(async () => !(await answers(port)) && !existsSync(dataDir))
  })

  test('three servers make a cluster, which works without one of them', async () => {
    const cluster = await startNatsCluster(3)
    onTestFinished(() => cluster.stop())
    const patience = { within: 20_000 }
    const [first, second, third] = cluster.nodes as [Nats, Nats, Nats]
    await publish(first, 3)
    await third.kill()
    await cluster.ready()
    await until(async () => (await streams(second)).includes('kept: 1'), patience)
    await third.restart({ empty: true })
    await cluster.ready()
    await until(async () => (await streams(third)).includes('kept: 1'), patience)
  }, 60_000)
})

describeNats('the shared server', () => {
  test('answers', async () => {
    const { info } = await client({ url: natsUrl() })
    expect(info).toMatchObject({ jetstream: true })
  })
})
