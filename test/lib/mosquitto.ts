import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { startChild, type Child } from '../../src/testing/child.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'
import { findMosquitto, type MosquittoTools } from './mosquitto-find.ts'
import { describeUnless } from './needing.ts'

let tools: ReturnType<typeof findMosquitto> | undefined

/** Tests that need Mosquitto. Without it they are left out, or fail where brokers are required. */
export async function describeMosquitto(name: string, body: () => void): Promise<void> {
  const found = await (tools ??= findMosquitto())
  describeUnless('broker' in found ? undefined : found.reason, name, body)
}

async function needed(): Promise<MosquittoTools> {
  const found = await (tools ??= findMosquitto())
  if ('reason' in found) throw new Error(found.reason)
  return found
}

export interface Mosquitto {
  readonly port: number
  /** Publishes with the client of Mosquitto, MQTT 5 unless told; each line is a message. */
  publish(topic: string, lines: readonly string[], ...more: string[]): Promise<void>
  kill(): Promise<void>
  /** Again after `kill`, with the sessions as they were saved last. */
  start(): Promise<void>
  log(): Promise<string>
}

/** A broker of its own for a test. `settings`: more lines of its configuration. */
export async function startMosquitto(...settings: string[]): Promise<Mosquitto> {
  const { broker, publisher, env } = await needed()
  const home = await mkdtemp(join(tmpdir(), 'tidings-mosquitto-'))
  const port = await freePort()
  const file = join(home, 'mosquitto.conf')
  const log = join(home, 'log')
  const own = [`user ${userInfo().username}`, `listener ${port} 127.0.0.1`, 'max_queued_messages 0', 'log_type all']
  const anonymous = settings.some(line => line.startsWith('allow_anonymous')) ? [] : ['allow_anonymous true']
  const saved = ['persistence true', `persistence_location ${home}/`, 'autosave_on_changes true', 'autosave_interval 1']
  await writeFile(file, [...own, ...anonymous, ...saved, ...settings, ''].join('\n'))
  const libraries = env.LD_LIBRARY_PATH ? ['env', `LD_LIBRARY_PATH=${env.LD_LIBRARY_PATH}`] : []
  let child: Child | undefined
  const kill = async () => {
    child?.signal('SIGKILL')
    await child?.ended
  }
  const start = async () => {
    child = await startChild([...libraries, broker, '-c', file], { log, truncate: false, remove: home })
    await until(async () => /mosquitto version \S+ running/.test(await readFile(log, 'utf8')), {
      what: 'Mosquitto to run',
    })
    await until(() => reachable(port))
  }
  onTestFinished(async () => {
    await kill()
    if (process.env.TIDINGS_MOSQUITTO_LOG) console.log(await readFile(log, 'utf8'))
    await rm(home, { recursive: true, force: true })
  })
  await start()
  return {
    port,
    kill,
    start,
    log: () => readFile(log, 'utf8'),
    publish: async (topic, lines, ...more) => {
      const at = ['-h', '127.0.0.1', '-p', String(port), '-t', topic, '-l']
      const client = spawn(publisher, [...at, ...(more.includes('-V') ? [] : ['-V', '5']), ...more], {
        env,
        stdio: ['pipe', 'inherit', 'inherit'],
      })
      client.stdin.end(lines.map(line => `${line}\n`).join(''))
      const [code] = await once(client, 'exit')
      if (code !== 0) throw new Error(`mosquitto_pub ended with ${code}`)
    },
  }
}

async function reachable(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } finally {
    socket.destroy()
  }
}
