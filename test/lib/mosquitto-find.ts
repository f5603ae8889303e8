import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { glob, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { textOf } from '../../src/errors.ts'

/*
 * Mosquitto: a broker and clients that know nothing of ours. It is taken from the path, else from the packages of the system,
 * which are unpacked into a cache and not installed.
 */

const run = promisify(execFile)
const packages = ['mosquitto', 'mosquitto-clients', 'libmosquitto1', 'libwrap0', 'libdlt2']

interface Places {
  readonly broker: string
  readonly publisher: string
  readonly env: NodeJS.ProcessEnv
}

export interface MosquittoTools extends Places {
  readonly version: string
}

export async function findMosquitto(): Promise<MosquittoTools | { reason: string }> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  const inPath = (name: string) => folders.map(folder => join(folder, name)).find(path => existsSync(path))
  const [broker, publisher] = [inPath('mosquitto'), inPath('mosquitto_pub')]
  try {
    const places = broker && publisher ? { broker, publisher, env: process.env } : await unpacked()
    return { ...places, version: await versionOf(places) }
  } catch (error) {
    return { reason: `no Mosquitto: ${textOf(error).trim().split('\n').at(-1)}` }
  }
}

async function versionOf({ broker, env }: Places): Promise<string> {
  // It says so in its usage, with which it ends as if that were an error.
  const { stdout, stderr } = await run(broker, ['-h'], { env }).catch(
    (ended: { stdout: string; stderr: string }) => ended,
  )
  const [, version] = /mosquitto version (\S+)/.exec(stdout) ?? []
  if (version === undefined) throw new Error(`${broker} does not say its version ${stderr}`)
  return version
}

async function unpacked(): Promise<Places> {
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
