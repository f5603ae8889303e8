import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { access, cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startChild } from '../child.ts'
import { freePort } from '../ports.ts'
import { until } from '../wait.ts'
import { kafkaConfigText } from './config.ts'
import { kafkaCache, type KafkaServer } from './find.ts'
import { kafkaInfo } from './info.ts'

/*
 * A broker formats its folder with a program of its own, and loads 8,000 classes: two starts of Java. Both results are the same for
 * every broker of a version, so they are made once and kept in the cache.
 */

export interface StartFiles {
  /** A folder as `kafka-storage format` leaves it, without the ids of cluster and broker. */
  readonly formatted: string
  /** Archive of the loaded classes, for this version of Java. */
  readonly classes: string
}

const known = new Map<string, Promise<StartFiles>>()

/** Makes the files if they are missing, which takes some 10 s. */
export function startFiles(server: KafkaServer): Promise<StartFiles> {
  const files = known.get(server.path) ?? findOrMake(server)
  known.set(server.path, files)
  return files
}

async function findOrMake(server: KafkaServer): Promise<StartFiles> {
  const key = createHash('sha256')
    .update(`${server.java} ${server.javaVersion} ${await classPath(server)}`)
    .digest('hex')
  const folder = join(kafkaCache(process.env), `kafka-start-${server.version}-${key.slice(0, 12)}`)
  if (!(await exists(folder))) await make(server, folder)
  return { formatted: join(folder, 'formatted'), classes: join(folder, 'classes.jsa') }
}

/** The same text each time, because an archive of classes is valid for one class path. */
export async function classPath({ path }: KafkaServer): Promise<string> {
  const files = await readdir(path)
  return files
    .filter(file => file.endsWith('.jar'))
    .sort()
    .map(file => join(path, file))
    .join(':')
}

/** Runs `kafka-storage format`. `extra`: more of its arguments. */
export async function formatFolder(
  server: KafkaServer,
  config: string,
  clusterId: string,
  extra: readonly string[] = [],
): Promise<void> {
  const args = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', await classPath(server)]
  const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config, ...extra]
  await promisify(execFile)(server.java, [...args, ...format], { timeout: 120_000 })
}

/** An id as Kafka writes them. One that begins with a dash would be an option. */
export const kafkaId = () => randomBytes(16).toString('base64url').replace(/^-/, 'A')

async function make(server: KafkaServer, target: string): Promise<void> {
  const folder = await mkdtemp(`${target}-`)
  try {
    const dataDir = join(folder, 'data')
    const [port, controllerPort] = [await freePort(), await freePort()]
    const config = join(folder, 'server.properties')
    const place = { id: 1, port, controllerPort, dataDir, voters: [{ id: 1, controllerPort }] }
    await mkdir(dataDir)
    await writeFile(config, kafkaConfigText(place, {}))
    await formatFolder(server, config, kafkaId())
    await cp(join(dataDir, 'log'), join(folder, 'formatted'), { recursive: true })
    await rm(join(folder, 'formatted', 'meta.properties'))
    const archive = `-XX:ArchiveClassesAtExit=${join(folder, 'classes.jsa')}`
    const command = [server.java, archive, '-cp', await classPath(server), 'kafka.Kafka', config]
    const child = await startChild(command, { log: join(folder, 'kafka.log'), truncate: true, remove: folder })
    await Promise.race([
      until(() => kafkaInfo('127.0.0.1', port), { within: 60_000, what: 'Kafka to answer' }),
      child.ended,
    ])
    child.signal('SIGTERM')
    await child.ended
    await rm(dataDir, { recursive: true })
    await rename(folder, target)
  } catch (error) {
    // Another process may have been faster.
    if (!(await exists(target))) throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
