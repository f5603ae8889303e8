import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { openBus } from '../../src/runtime/environment.ts'
import { freePort } from '../../src/testing/ports.ts'
import { everything, keyFor, policyFile } from '../lib/identity.ts'
import type { ClientRecord, ClientsConfig, ClientsMessage } from './clients.ts'
import { compare, isPending, readStored, type Differences } from './verify.ts'

export interface GatewayKillOptions {
  /** Of the log. */
  home: string
  bus: string
  clients: number
  /** Number of `kill -9` of the gateway. */
  kills: number
  /** The gateway listens for at most this long: half of it on average, and starts in the other half. */
  killEveryMs: number
  /** Average time between two requests of a client. */
  intervalMs: number
  /** How long clients may take to see what is stored, after the last kill. */
  patienceMs: number
  onProgress?(text: string): void
}

export interface GatewayKillReport {
  readonly differences: Differences
  readonly figures: Readonly<Record<string, number>>
}

const processes = 2

/** A gateway that is killed and started again, an agents worker, and clients, each in a process of its own, on one log. */
export async function gatewayKillTest(options: GatewayKillOptions): Promise<GatewayKillReport> {
  const { home, bus: address, kills, killEveryMs, intervalMs, patienceMs, onProgress } = options
  const bus = await openBus(options)
  const children: ChildProcess[] = []
  const spawn = (file: string, args: readonly string[] = []) => {
    const child = fork(join(import.meta.dirname, file), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    children.push(child)
    return child
  }
  try {
    const policy = await policyFile({ roles: { all: everything }, limits: { requestsPerMinute: 1_000_000 } })
    const port = await freePort()
    const host = async (role: string) => {
      const child = spawn('host.ts', [role, home, address, String(port), policy])
      await messageOf(child, 'ready')
      return child
    }
    await host('agents')
    let gateway = await host('gateway')

    const users: ClientsConfig['users'][number][] = []
    for (let i = 0; i < options.clients; i++) {
      const name = `user-${i}`
      users.push({ name, secret: await keyFor(bus, name), isSocket: i % 4 < 2 })
    }
    const url = `http://127.0.0.1:${port}`
    const groups = Array.from({ length: processes }, (_, group) => {
      const child = spawn('clients.ts')
      child.send({ url, intervalMs, users: users.filter((_, i) => i % processes === group) } satisfies ClientsConfig)
      return child
    })
    await Promise.all(groups.map(group => messageOf(group, 'ready')))

    const begin = performance.now()
    let up = 0
    for (let killed = 0; killed < kills; killed++) {
      const listening = performance.now()
      await setTimeout(Math.random() * killEveryMs)
      up += performance.now() - listening
      gateway.kill('SIGKILL')
      gateway = await host('gateway')
      onProgress?.(`${killed + 1} of ${kills} kills`)
    }
    const seconds = (performance.now() - begin) / 1_000
    const stopped = groups.map(group => messageOf(group, 'stopped'))
    for (const group of groups) group.send('stop')
    await Promise.all(stopped)

    const ask = async () => (await Promise.all(groups.map(recordsOf))).flat()
    let records: ClientRecord[] = []
    let stored = await readStored(bus)
    let differences!: Differences
    const over = performance.now() + patienceMs
    do {
      await setTimeout(200)
      stored = await readStored(bus)
      records = await ask()
      differences = compare(stored, records)
      onProgress?.(`${differences.unseen.length} events not seen yet`)
    } while (isPending(differences) && performance.now() < over)
    const sum = (of: (record: ClientRecord) => number) => records.reduce((total, record) => total + of(record), 0)
    const figures = {
      kills,
      seconds: Math.round(seconds),
      'ms up between kills': Math.round(up / kills),
      clients: records.length,
      requests: sum(({ answers }) => answers.length),
      attempts: sum(({ attempts }) => attempts),
      replayed: sum(({ replayed }) => replayed),
      connections: sum(({ streams }) => streams),
      stored: stored.events,
      seen: sum(({ seen }) => seen.length),
    }
    return { differences, figures }
  } finally {
    const ended = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    const ends = ended.map(child => once(child, 'exit'))
    for (const child of ended) child.kill('SIGKILL')
    await Promise.all(ends)
    await bus.close()
  }
}

/** @throws if the process ends before */
async function messageOf(child: ChildProcess, wanted: ClientsMessage | undefined): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const take = (message: unknown) =>
    (wanted === undefined ? Array.isArray(message) : message === wanted) && resolve(message)
  const end = (code: number) => reject(new Error(`a process of the test ended with ${code}`))
  child.on('message', take).once('exit', end)
  return promise.finally(() => child.off('message', take).off('exit', end))
}

async function recordsOf(group: ChildProcess): Promise<readonly ClientRecord[]> {
  const answer = messageOf(group, undefined)
  group.send('report')
  return (await answer) as readonly ClientRecord[]
}
