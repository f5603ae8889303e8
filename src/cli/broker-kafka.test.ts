import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { describeKafkaServer } from '../../test/lib/kafka.ts'
import { freePort, isFree } from '../testing/ports.ts'

/** Java starts slowly on a busy machine. */
const slow = { timeout: 180_000 }

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
  const child = spawn(process.execPath, [main, 'broker', 'kafka', '--json', ...args], {
    env: { ...process.env, TIDINGS_HOME: home, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  return child
}

async function ready(args: string[]) {
  const child = launch(args)
  const [line] = await once(child.stdout!.setEncoding('utf8'), 'data')
  return { child, record: JSON.parse(line) as Record<string, unknown> }
}

async function refusal(args: string[], env: NodeJS.ProcessEnv = {}) {
  const child = launch(args, env)
  const [stderr] = await Promise.all([text(child.stderr!), once(child, 'close')])
  return { exit: child.exitCode, ...(JSON.parse(stderr) as { error: { code: string; message: string } }).error }
}

describeKafkaServer('tidings broker kafka', () => {
  test('prints the address to use, guards its port and folder, and ends with Ctrl-C', slow, async () => {
    const port = await freePort()
    const args = ['--port', String(port)]
    const first = await ready(args)
    const bootstrap = `127.0.0.1:${port}`
    expect(first.record).toMatchObject({ event: 'ready', bus: `TIDINGS_BUS='kafka://${bootstrap}/tidings'` })
    const taken = await refusal(args, { TIDINGS_HOME: join(home, 'other') })
    expect(taken).toMatchObject({ exit: 1, code: 'E_PORT_IN_USE', message: expect.stringContaining(String(port)) })
    expect(await refusal(args)).toMatchObject({
      exit: 1,
      code: 'E_BROKER_FAILED',
      message: expect.stringContaining(home),
    })
    first.child.kill('SIGINT')
    expect((await once(first.child, 'close'))[0]).toBe(0)
    expect(await isFree(port)).toBe(true)
  })
})

test('without a broker it lists where it looked', async () => {
  const missing = await refusal([], { TIDINGS_KAFKA_SERVER: join(home, 'nowhere') })
  // On a machine without Java that is the first reason.
  expect(missing).toMatchObject({ exit: 1, code: 'E_BROKER_MISSING', message: expect.stringMatching(/nowhere|Java/) })
  expect(await refusal(['--port', '64900'])).toMatchObject({ exit: 2, code: 'E_USAGE' })
})
