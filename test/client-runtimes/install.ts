import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/* Deno, Bun and the runtime of Cloudflare Workers, installed once into the cache, without their install scripts. */

const packages = { deno: '2.9.6', bun: '1.4.5', workerd: '1.20261117.1' }
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings')

/** The folder of their packages, which contain the binaries. */
export async function installRuntimes(): Promise<string> {
  const names = Object.entries(packages).map(([name, version]) => `${name}@${version}`)
  const folder = join(cache, names.join('+'))
  if (existsSync(folder)) return join(folder, 'node_modules')
  console.log(`installing ${names.join(', ')} into ${folder}, once …`)
  await mkdir(cache, { recursive: true })
  const temporary = await mkdtemp(`${folder}-`)
  try {
    await writeFile(join(temporary, 'package.json'), JSON.stringify({ private: true }))
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await promisify(execFile)('npm', ['install', ...quiet, ...names], { cwd: temporary, timeout: 600_000 })
    await rename(temporary, folder)
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(folder)) throw error
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return join(folder, 'node_modules')
}
