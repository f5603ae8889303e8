import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { spawn } from 'node:child_process'
import { randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNats } from '../../src/testing/nats/start.ts'

export interface NatsServer {
  /** Address, without the name of a log. */
  url: string
  /** Its version and how it syncs, as text. */
  about: string
  /** Process id, if the server was started for this. */
  own?: { pid: number; dataDir: string }
}

/** The options of a bench that runs on NATS, for `parseArgs`. */
export const natsOptions = {
  bus: { type: 'string', default: 'nats' },
  sync: { type: 'string', default: 'default' },
} as const

/** `nats` starts a server with an empty store; otherwise the address of a running one. */
export async function withNats<T>(bus: string, sync: string, work: (server: NatsServer) => Promise<T>): Promise<T> {
  if (bus !== 'nats') {
    const url = bus.replace(/^(\w+:\/\/[^/?]+).*$/, '$1')
    return work({ url, about: `${await versionOf(url)}, with the settings that it has` })
  }
  await using server = await startNats({ syncAlways: sync === 'always' })
  const { url, pid, dataDir } = server
  return await work({ url, own: { pid, dataDir }, about: `${await versionOf(url)}, sync ${sync}` })
}

/** Runs `work` with an empty log, as the value of `TIDINGS_BUS`, and removes it. */
export async function withLog<T>({ url }: NatsServer, work: (bus: string) => Promise<T>): Promise<T> {
  const log = `bench_${randomUUIDv7()}`
  try {
    return await work(`${url}/${log}`)
  } finally {
    await withManager(url, manager => removeStreams(manager, log))
  }
}

export async function removeStreams(manager: JetStreamManager, prefix: string): Promise<void> {
  const names = await Array.fromAsync(manager.streams.names())
  for (const name of names) if (name.startsWith(prefix)) await manager.streams.delete(name)
}

export async function withManager<T>(url: string, work: (manager: JetStreamManager) => Promise<T>): Promise<T> {
  const connection = await connect({ servers: url })
  try {
    return await work(await jetstreamManager(connection))
  } finally {
    await connection.close()
  }
}

async function versionOf(url: string): Promise<string> {
  const connection = await connect({ servers: url })
  const { version } = connection.info!
  await connection.close()
  return `nats-server ${version}`
}

/** How often the server syncs a file during the work; undefined if that cannot be observed. */
export async function fsyncsDuring({ own }: NatsServer, work: () => Promise<unknown>): Promise<number | undefined> {
  if (!own) return undefined
  const file = join(tmpdir(), `tidings-fsyncs-${process.pid}`)
  const strace = spawn('strace', ['-f', '-c', '-e', 'trace=fsync,fdatasync', '-o', file, '-p', String(own.pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  try {
    await once(strace, 'spawn')
  } catch {
    return undefined
  }
  try {
    // strace prints this when it is attached.
    await once(strace.stderr, 'data')
    await work()
    strace.kill('SIGINT')
    await once(strace, 'exit')
    return syncsIn(await readFile(file, 'utf8'))
  } finally {
    await rm(file, { force: true })
  }
}

/** Parses the table that `strace -c` prints. */
export function syncsIn(table: string): number {
  const calls = table.matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*f(?:data)?sync$/gm)
  return [...calls].reduce((sum, [, n]) => sum + Number(n), 0)
}
