import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { describeNatsServer } from '../../test/lib/nats.ts'
import { natsInfo } from '../testing/nats/info.ts'
import { freePort } from '../testing/ports.ts'
import { until } from '../testing/wait.ts'

const main = join(import.meta.dirname, 'main.ts')

let home: string
let running: ChildProcess[]

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidings-broker-'))
  running = []
})

afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  await rm(home, { recursive: true, force: true })
})

function launch(args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(process.execPath, [main, 'broker', 'nats', ...args], {
    env: { ...process.env, TIDINGS_HOME: home, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  return child
}

async function refusal(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = launch([...args, '--json'], env)
  const [stderr] = await Promise.all([text(child.stderr!), once(child, 'close')])
  return { exit: child.exitCode, ...(JSON.parse(stderr) as { error: { code: string; message: string } }).error }
}

async function ready(port: number, ...more: string[]) {
  const child = launch(['--port', String(port), '--json', ...more])
  const stderr = text(child.stderr!)
  const ended = new AbortController()
  child.once('close', () => ended.abort())
  const line = await once(child.stdout!.setEncoding('utf8'), 'data', { signal: ended.signal }).catch(async () => {
    throw new Error(await stderr)
  })
  return { port, child, stderr, record: JSON.parse(String(line)) as Record<string, unknown> }
}

/** On a free port. Another test may take it before the broker does, or that of HTTP monitoring, which is 4,000 above. */
async function readyAnywhere(): ReturnType<typeof ready> {
  for (;;) {
    try {
      return await ready(await freePort())
    } catch (error) {
      if (!String(error).includes('E_PORT_IN_USE')) throw error
    }
  }
}

const gone = (port: number) =>
  natsInfo('127.0.0.1', port).then(
    () => false,
    () => true,
  )

describeNatsServer('tidings broker nats', () => {
  test('prints the source of the server and the address to use, and ends with Ctrl-C', async () => {
    const port = await freePort()
    const child = launch(['--port', String(port)])
    let output = ''
    child.stdout!.setEncoding('utf8').on('data', chunk => (output += chunk))
    await until(() => output.includes(`TIDINGS_BUS='nats://127.0.0.1:${port}/tidings?monitor=http://127.0.0.1:`))
    expect(output).toMatch(/^● nats-server \d+\.\d+\.\d+ runs \(.+\)\n/)
    expect(output).toContain('sync_interval: always')
    child.kill('SIGINT')
    expect((await once(child, 'close'))[0]).toBe(0)
    expect(output).toMatch(/stopped\n$/)
    expect(await gone(port)).toBe(true)
  })

  test('keeps its data when the command and the server are killed', async () => {
    const first = await readyAnywhere()
    const { port } = first
    expect(first.record).toMatchObject({ event: 'ready', url: `nats://127.0.0.1:${port}`, syncAlways: true })
    const connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false })
    await (await jetstreamManager(connection)).streams.add({ name: 'kept', subjects: ['kept'] })
    await jetstream(connection).publish('kept')
    first.child.kill('SIGKILL')
    await until(() => gone(port))
    // The server of the killed command closes its port a moment before it lets go of its folder.
    const second = await until(() => ready(port, '--no-sync-always'))
    expect(second.record).toMatchObject({ syncAlways: false })
    const again = await connect({ servers: `127.0.0.1:${port}` })
    expect((await (await jetstreamManager(again)).streams.info('kept')).state.messages).toBe(1)
    await again.close()
  })

  test('rejects a port in use, and a folder that another one uses', async () => {
    const { port } = await readyAnywhere()
    const elsewhere = { TIDINGS_HOME: join(home, 'other') }
    const taken = await refusal(['--port', String(port)], elsewhere)
    expect(taken).toMatchObject({ exit: 1, code: 'E_PORT_IN_USE', message: expect.stringContaining(String(port)) })
    const monitor = await refusal(['--port', String(port - 4_000)], elsewhere)
    expect(monitor).toMatchObject({
      code: 'E_PORT_IN_USE',
      message: expect.stringContaining(`${port} (HTTP monitoring)`),
    })
    const served = await refusal(['--port', String(await freePort())])
    expect(served).toMatchObject({ exit: 1, code: 'E_BROKER_FAILED', message: expect.stringContaining(home) })
  })

  test('reports a server that ends unexpectedly', async () => {
    const { stderr, record } = await readyAnywhere()
    process.kill(record.pid as number, 'SIGKILL')
    expect(await stderr).toContain('E_BROKER_FAILED')
  })
})

test('without a server it lists where it looked', async () => {
  const missing = await refusal([], { TIDINGS_NATS_SERVER: join(home, 'nowhere') })
  expect(missing).toMatchObject({ exit: 1, code: 'E_BROKER_MISSING', message: expect.stringContaining('nowhere') })
  expect(await refusal(['--port', 'http'])).toMatchObject({ exit: 2, code: 'E_USAGE' })
})
