import { once } from 'node:events'
import { createServer } from 'node:net'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { openNats } from '../../src/drivers/nats/index.ts'
import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import type { BrokerWait } from '../../src/runtime/start-with-retry.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ask } from '../lib/world.ts'
import { healthOf, isUp, server, worker } from './lib/broker.ts'

const echo = agent('echo', { on: 'go', run: ctx => ctx.event.data })

/** Something that introduces itself as a NATS server and then says nothing. */
async function introduces(info: object | undefined): Promise<string> {
  const impostor = createServer(socket => {
    socket.on('error', () => {})
    if (info) socket.write(`INFO ${JSON.stringify(info)}\r\n`)
    socket.on('data', data => {
      if (info && String(data).includes('PING')) socket.write('PONG\r\n')
    })
  })
  await once(impostor.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void impostor.close())
  return `nats://127.0.0.1:${(impostor.address() as { port: number }).port}`
}

describeNatsServer('a server that', () => {
  test('is down, or does not answer, is reported within the time limit, without secrets', async () => {
    const port = await freePort()
    const silent = new URL(await introduces(undefined)).host
    for (const host of [`127.0.0.1:${port}`, silent]) {
      const began = performance.now()
      const refused = await openNats({ url: `nats://me:hush@${host}/log?timeout=500` }).catch((error: unknown) => error)
      // Without the limit it would be ten seconds.
      expect(performance.now() - began).toBeLessThan(8_000)
      expect(refused).toMatchObject({ code: 'E_LOG_UNAVAILABLE', retryable: true })
      expect(String(refused)).toContain(`nats://${host}/log`)
      expect(JSON.stringify(refused)).not.toContain('hush')
    }
  })

  test('is too old, or runs without JetStream, is refused at once', async () => {
    const info = { server_id: 'X', host: '127.0.0.1', port: 1, max_payload: 1_048_576, proto: 1, headers: true }
    const old = await introduces({ ...info, version: '2.9.10', jetstream: true })
    await expect(openNats({ url: old })).rejects.toMatchObject({
      code: 'E_BUS_VERSION',
      message: expect.stringMatching(/nats-server 2\.9\.10; 2\.12 is needed/),
    })
    const plain = await introduces({ ...info, version: '2.12.0' })
    await expect(openNats({ url: plain })).rejects.toMatchObject({
      code: 'E_BUS_VERSION',
      message: expect.stringContaining('without JetStream'),
    })
  })

  test('refuses the credentials, or its answers, fails at once', async () => {
    const { url, port } = await server({ auth: { user: 'me', password: 'right' } })
    const wrong = url.replace('//', '//me:wrong@')
    await expect(openNats({ url: wrong })).rejects.toMatchObject({ code: 'E_BUS_DENIED' })
    const failed = await start(app({ use: [] }), { bus: wrong, port: 0 }).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'E_BUS_DENIED', message: expect.stringContaining(`nats://127.0.0.1:${port}`) })
    expect(JSON.stringify(failed)).not.toContain('wrong')
    const mute = '{ user: me, password: right, permissions: { subscribe: { deny: ["_INBOX.>"] } } }'
    const deaf = await server({ config: `authorization { users: [${mute}] }` })
    await expect(openNats({ url: deaf.url.replace('//', '//me:right@') })).rejects.toMatchObject({
      code: 'E_BUS_DENIED',
      message: expect.stringContaining('_INBOX'),
    })
  })
})

describeNatsServer('an app whose broker is down when it starts', () => {
  test('answers /health, waits, and starts by itself', async () => {
    const [brokerPort, port] = [await freePort(), await freePort()]
    const waits: BrokerWait[] = []
    const starting = worker(`nats://127.0.0.1:${brokerPort}`, [echo], { port, onWaiting: found => waits.push(found) })
    await until(() => waits.length === 1)
    expect(waits[0]).toMatchObject({ error: { code: 'E_LOG_UNAVAILABLE' }, address: `http://127.0.0.1:${port}` })
    expect(await healthOf(port)).toMatchObject({
      status: 503,
      body: { status: 'unavailable', bus: 'nats', error: { message: expect.stringContaining(`:${brokerPort}/log`) } },
    })
    const refused = await fetch(`http://127.0.0.1:${port}/events`, { method: 'POST', body: '{}' })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    await server({ port: brokerPort })
    const running = await starting
    await isUp(running)
    expect((await ask(running, { type: 'go', data: 1 })).data).toMatchObject({ output: 1 })
    expect(waits).toHaveLength(1)
  })

  test('waits for a log that it may not create, until another process has created it', async () => {
    const may = '_INBOX.>", "log.>", "$JS.API.STREAM.INFO.>", "$JS.API.STREAM.MSG.>", "$JS.API.DIRECT.>'
    const narrow = `{ user: narrow, password: pw, permissions: { publish: ["${may}"] } }`
    const { url } = await server({ config: `authorization { users: [${narrow}, { user: wide, password: pw }] }` })
    const as = (user: string) => url.replace('//', `//${user}:pw@`)
    await expect(openNats({ url: `${as('narrow')}/log` })).rejects.toMatchObject({
      code: 'E_LOG_UNAVAILABLE',
      retryable: true,
      message: expect.stringContaining('the log does not exist and this user may not create it'),
    })
    const waits: BrokerWait[] = []
    const starting = start(app({ use: [] }), {
      bus: `${as('narrow')}/log`,
      only: ['gateway'],
      port: 0,
      onWaiting: found => waits.push(found),
    })
    await until(() => waits.length === 1)
    expect(waits[0]!.error.message).toContain('the log does not exist')
    const maker = await openNats({ url: `${as('wide')}/log` })
    onTestFinished(() => maker.close())
    const running = await starting
    onTestFinished(() => running.stop())
    expect(waits).toHaveLength(1)
  })

  test('can be stopped while it waits', async () => {
    const stop = new AbortController()
    const bus = `nats://127.0.0.1:${await freePort()}`
    const starting = start(app({ use: [echo] }), {
      bus,
      only: ['agents'],
      signal: stop.signal,
      onWaiting: () => stop.abort(),
    })
    await expect(starting).rejects.toMatchObject({ code: 'E_LOG_UNAVAILABLE' })
  })

  test('says on the command line what it waits for, once, and other verbs fail at once', async () => {
    const cli = await commandLine()
    const run = cli.launch('run', cli.app, '--json')
    const status = cli.launch('status', '--json')
    await status.ended
    expect([status.child.exitCode, status.text]).toEqual([1, expect.stringContaining('E_LOG_UNAVAILABLE')])
    await until(() => run.text.includes('waiting'), { within: 15_000 })
    run.child.kill('SIGTERM')
    await run.ended
    expect(run.events()).toEqual(['waiting', 'stopped'])
    expect(run.child.exitCode).toBe(0)
  })

  test('waits in a process of its own that has no port to keep it', async () => {
    const cli = await commandLine()
    const run = cli.launch('run', cli.app, '--json', '--only', 'agents')
    await until(() => run.text.includes('waiting'), { within: 15_000 })
    await server({ port: cli.brokerPort })
    await until(() => run.text.includes('ready'), { within: 30_000 })
    run.child.kill('SIGTERM')
    await run.ended
    expect(run.events()).toEqual(['waiting', 'ready', 'stopping', 'stopped'])
  })
})

/** The command line with an app whose broker does not run. */
async function commandLine() {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-waits-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'app.ts')
  const runtime = JSON.stringify(join(import.meta.dirname, '../../src/runtime/app.ts'))
  await writeFile(path, `import { app } from ${runtime}\nexport default app({ use: [] })`)
  const [brokerPort, port] = [await freePort(), await freePort()]
  const bus = `nats://127.0.0.1:${brokerPort}/log?timeout=300`
  const env = { ...process.env, TIDINGS_BUS: bus, TIDINGS_PORT: String(port), TIDINGS_HOME: folder }
  const launch = (...args: string[]) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/cli/main.ts'), ...args], { env })
    const it = {
      child,
      text: '',
      ended: once(child, 'close'),
      events: () =>
        it.text
          .trim()
          .split('\n')
          .map(line => (JSON.parse(line) as { event: string }).event),
    }
    onTestFinished(() => void child.kill('SIGKILL'))
    for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (it.text += String(data)))
    return it
  }
  return { app: path, brokerPort, launch }
}
