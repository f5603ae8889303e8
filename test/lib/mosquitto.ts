import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { glob, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { homedir, tmpdir, userInfo } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, onTestFinished, test } from 'vitest'
import { textOf } from '../../src/errors.ts'
import { startChild, type Child } from '../../src/testing/nats/child.ts'
import { freePort } from '../../src/testing/ports.ts'
import { until } from '../../src/testing/wait.ts'

/*
 * Mosquitto: a broker and clients that know nothing of ours. It is taken from the path, else from the packages of the system,
 * which are unpacked into a cache and not installed.
 */

const run = promisify(execFile)
const packages = ['mosquitto', 'mosquitto-clients', 'libmosquitto1', 'libwrap0', 'libdlt2']

interface Tools {
  readonly broker: string
  readonly publisher: string
  readonly env: NodeJS.ProcessEnv
}

let tools: Promise<Tools | { reason: string }> | undefined

/** Tests that need Mosquitto. Without it they are left out, or fail where brokers are required. */
export async function describeMosquitto(name: string, body: () => void): Promise<void> {
  const found = await (tools ??= find())
  if ('broker' in found) {
    describe(name, body)
    return
  }
  console.log(`${name}: ${found.reason}`)
  if (process.env.TIDINGS_REQUIRE_BROKERS)
    test(`${name}: Mosquitto is there`, () => {
      throw new Error(found.reason)
    })
  else describe.skip(`${name} (${found.reason})`, body)
}

async function find(): Promise<Tools | { reason: string }> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const inPath = (name: string) => folders.map(folder => join(folder, name)).find(path => existsSync(path))
  const [broker, publisher] = [inPath('mosquitto'), inPath('mosquitto_pub')]
  if (broker && publisher) return { broker, publisher, env: process.env }
  try {
    return await unpacked()
  } catch (error) {
    return { reason: `no Mosquitto: ${textOf(error).trim().split('\n').at(-1)}` }
  }
}

async function unpacked(): Promise<Tools> {
  const place = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings', 'mosquitto')
  if (!existsSync(place)) {
    await mkdir(join(place, '..'), { recursive: true })
    const folder = await mkdtemp(`${place}-`)
    try {
      await run('apt-get', ['download', ...packages], { cwd: folder })
      for (const file of await readdir(folder))
        if (file.endsWith('.deb')) await run('dpkg-deb', ['-x', file, '.'], { cwd: folder })
      await rename(folder, place)
    } catch (error) {
      // Another process may have been faster.
      if (!existsSync(place)) throw error
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  const libraries = await Array.fromAsync(glob(join(place, 'usr/lib/*/libmosquitto.so.1')), path => dirname(path))
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(delimiter) }
  return { broker: join(place, 'usr/sbin/mosquitto'), publisher: join(place, 'usr/bin/mosquitto_pub'), env }
}

async function needed(): Promise<Tools> {
  const found = await (tools ??= find())
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
