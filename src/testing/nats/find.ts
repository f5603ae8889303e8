import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { textOf } from '../../errors.ts'
import { buildNatsServer, builtVersion } from './build.ts'

/** A usable binary of nats-server. */
export interface NatsServer {
  readonly path: string
  readonly version: string
  readonly source: 'TIDINGS_NATS_SERVER' | 'PATH' | 'cache' | 'built'
  /** Candidates that were rejected before, each with the reason. */
  readonly refused: readonly string[]
}

/** Where to look for the server, and whether to build it. */
export interface FindOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Whether to build one if none is found. Default true. */
  readonly build?: boolean
  /** Called before a build, which takes about a minute. */
  onBuild?(text: string): void
}

const oldest = [2, 12] as const

/**
 * Looks in the PATH and the cache, else builds one. If `TIDINGS_NATS_SERVER` is set, only the binary that it names is used.
 */
export async function findNatsServer(options: FindOptions = {}): Promise<NatsServer | { readonly reason: string }> {
  const { env = process.env, build = true, onBuild } = options
  const refused: string[] = []
  const examine = async (path: string, source: NatsServer['source']): Promise<NatsServer | undefined> => {
    const verdict = await versionOf(path)
    if ('version' in verdict) return { path, version: verdict.version, source, refused }
    refused.push(`${source}: ${verdict.reason}`)
    return undefined
  }
  const missing = () => ({ reason: refused.join('; ') })

  const named = env.TIDINGS_NATS_SERVER
  if (named) return (await examine(named, 'TIDINGS_NATS_SERVER')) ?? missing()
  for (const path of await onPath(env.PATH ?? '')) {
    const found = await examine(path, 'PATH')
    if (found) return found
  }
  if (refused.length === 0) refused.push('PATH: no nats-server')
  const cached = cachedAt(env)
  if (await executable(cached)) {
    const found = await examine(cached, 'cache')
    if (found) return found
  } else refused.push('cache: none was built yet')
  if (!build) return missing()
  try {
    onBuild?.(`building nats-server ${builtVersion} into ${cached}, once; it takes about a minute …`)
    await buildNatsServer(cached, env)
    return (await examine(cached, 'built')) ?? missing()
  } catch (error) {
    refused.push(`build: ${textOf(error)}`)
    return missing()
  }
}

function cachedAt(env: NodeJS.ProcessEnv): string {
  const cache = env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache')
  return join(cache, 'tidings', `nats-server-${builtVersion}`, 'nats-server')
}

async function onPath(path: string): Promise<string[]> {
  const candidates = path
    .split(delimiter)
    .filter(Boolean)
    .map(folder => join(folder, 'nats-server'))
  const there = await Promise.all(candidates.map(executable))
  return candidates.filter((_, i) => there[i])
}

const executable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  )

async function versionOf(path: string): Promise<{ version: string } | { reason: string }> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 20_000 })
    const [, version] = /\bv?(\d+\.\d+\.\S+)/.exec(stdout) ?? []
    if (version === undefined) return { reason: `${path} prints no version` }
    const reason = tooOld(version)
    return reason === undefined ? { version } : { reason: `${path}: ${reason}` }
  } catch (error) {
    return { reason: `${path} does not run: ${textOf(error).trim()}` }
  }
}

/** Why this version is too old; undefined if it is not. */
export function tooOld(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return undefined
  return `version ${version}, and ${oldest.join('.')} or newer is needed`
}
