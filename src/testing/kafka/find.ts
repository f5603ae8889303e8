import { readdir, realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { textOf } from '../../errors.ts'
import { downloadedVersion, downloadKafka } from './download.ts'
import { findJava } from './java.ts'

/** The jars of a broker, and the Java that runs them. */
export interface KafkaServer {
  /** Folder of the jars. */
  readonly path: string
  readonly version: string
  readonly java: string
  readonly javaVersion: string
  readonly source: 'TIDINGS_KAFKA_SERVER' | 'PATH' | 'cache' | 'downloaded'
  /** Candidates that were rejected before, each with the reason. */
  readonly refused: readonly string[]
}

/** Where to look for the broker, and whether to download it. */
export interface FindKafkaOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Whether to download one if none is found. Default true. */
  readonly download?: boolean
  /** Only this version, from the cache or downloaded. */
  readonly version?: string
  /** Called before a download, which takes up to a minute. */
  onDownload?(text: string): void
}

const oldest = 4

/**
 * Looks for an unpacked Kafka in the PATH, then in the cache, else downloads one. If `TIDINGS_KAFKA_SERVER` is set, only the folder that
 * it names is used.
 */
export async function findKafka(options: FindKafkaOptions = {}): Promise<KafkaServer | { readonly reason: string }> {
  const { env = process.env, download = true, version } = options
  const java = await findJava(env)
  if ('reason' in java) return java
  const refused: string[] = []
  const examine = async (path: string, source: KafkaServer['source']): Promise<KafkaServer | undefined> => {
    const verdict = await versionIn(path)
    if ('version' in verdict) return { ...verdict, source, refused, java: java.path, javaVersion: java.version }
    refused.push(`${source}: ${verdict.reason}`)
    return undefined
  }
  const missing = () => ({ reason: refused.join('; ') })

  if (version === undefined) {
    const named = env.TIDINGS_KAFKA_SERVER
    if (named) return (await examine(named, 'TIDINGS_KAFKA_SERVER')) ?? missing()
    for (const path of await onPath(env.PATH ?? '')) {
      const found = await examine(path, 'PATH')
      if (found) return found
    }
    if (refused.length === 0) refused.push('PATH: no kafka-server-start.sh')
  }
  const wanted = version ?? downloadedVersion
  const cached = join(kafkaCache(env), `kafka-${wanted}`)
  const found = await examine(cached, 'cache')
  if (found || !download) return found ?? missing()
  try {
    options.onDownload?.(`downloading Kafka ${wanted} with Maven into ${cached}, once (43 MB) …`)
    await downloadKafka(wanted, cached, env)
    return (await examine(cached, 'downloaded')) ?? missing()
  } catch (error) {
    refused.push(`download: ${textOf(error)}`)
    return missing()
  }
}

/** Folder of what is downloaded or prepared once. */
export const kafkaCache = (env: NodeJS.ProcessEnv) =>
  join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'tidings')

/** `kafka-server-start.sh` is in `bin` of an unpacked Kafka, maybe by a link. */
async function onPath(path: string): Promise<string[]> {
  const scripts = path
    .split(delimiter)
    .filter(Boolean)
    .map(folder => join(folder, 'kafka-server-start.sh'))
  const real = await Promise.all(scripts.map(script => realpath(script).catch(() => undefined)))
  return [...new Set(real.filter(script => script !== undefined).map(script => dirname(dirname(script))))]
}

/** The folder is an unpacked Kafka, whose jars are in `libs`, or holds the jars itself. */
async function versionIn(folder: string): Promise<{ path: string; version: string } | { reason: string }> {
  for (const path of [join(folder, 'libs'), folder]) {
    const files = await readdir(path).catch(() => [])
    const version = files.map(file => /^kafka_2\.\d+-(\d+\.\d+\.\d+\S*)\.jar$/.exec(file)?.[1]).find(Boolean)
    if (version === undefined) continue
    const reason = tooOld(version)
    return reason === undefined ? { path, version } : { reason: `${path}: ${reason}` }
  }
  return { reason: `no jars of Kafka in ${folder}` }
}

/** Why this version is too old; undefined if it is not. */
function tooOld(version: string): string | undefined {
  if (Number.parseInt(version, 10) >= oldest) return undefined
  return `version ${version}, and ${oldest}.0 or newer is needed`
}
