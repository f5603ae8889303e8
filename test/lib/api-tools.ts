import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { textOf } from '../../src/errors.ts'

/*
 * The validators of API documents. They bring hundreds of packages and work on files only, so they are installed into a cache and not
 * with the project.
 */

const run = promisify(execFile)
const packages = ['@redocly/cli@2.77.0', '@asyncapi/parser@3.6.6']
const version = packages.map(name => name.split('@').at(-1)).join('+')

export type ApiTools = { readonly folder: string; readonly version: string } | { readonly reason: string }

/** A folder with the validators in its `node_modules`. `onInstall`: called before they are installed; without it they must be in the cache. */
export async function findApiTools(onInstall?: (text: string) => void): Promise<ApiTools> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings', `api-tools-${version}`)
  if (existsSync(folder)) return { folder, version }
  if (!onInstall) return { reason: 'the validators of API documents were not installed yet' }
  onInstall(`installing ${packages.join(' and ')} into ${folder}, once; it takes about half a minute …`)
  try {
    await install(folder)
    return { folder, version }
  } catch (error) {
    return { reason: `the validators of API documents could not be installed: ${textOf(error).slice(-400)}` }
  }
}

/** The folder appears whole or not at all. */
async function install(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const own = await mkdtemp(`${folder}-`)
  try {
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', '--force']
    await run('npm', ['install', '--prefix', own, ...quiet, ...packages], { cwd: own, timeout: 300_000 })
    await rename(own, folder)
  } finally {
    await rm(own, { recursive: true, force: true })
  }
}
