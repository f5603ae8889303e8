import { execFile } from 'node:child_process'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createBrotliDecompress } from 'node:zlib'
import { textOf } from '../../src/errors.ts'

/*
 * Chromium: taken from TIDINGS_BROWSER or the path, else from an npm package that contains one with the libraries and a font that it needs. That
 * package is unpacked into a cache, and not installed.
 */

const run = promisify(execFile)
const packaged = '@sparticuz/chromium@153.0.0'
const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

export interface Browser {
  readonly path: string
  readonly version: string
  readonly source: 'TIDINGS_BROWSER' | 'PATH' | 'cache'
  readonly env: NodeJS.ProcessEnv
}

/** `onDownload` is called before a download of 70 MB. Without it nothing is downloaded. */
export async function findBrowser(onDownload?: (text: string) => void): Promise<Browser | { reason: string }> {
  const named = process.env.TIDINGS_BROWSER
  if (named) return examine(named, 'TIDINGS_BROWSER')
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  const inPath = folders.flatMap(folder => names.map(name => join(folder, name))).find(path => existsSync(path))
  if (inPath !== undefined) return examine(inPath, 'PATH')
  try {
    const place = cachePlace()
    if (!existsSync(place) && !onDownload) return { reason: 'no browser: npm test downloads one' }
    if (!existsSync(place)) await download(place, onDownload!)
    const libraries = { LD_LIBRARY_PATH: join(place, 'lib'), FONTCONFIG_FILE: join(place, 'fonts.conf') }
    return await examine(join(place, 'chromium'), 'cache', libraries)
  } catch (error) {
    return { reason: `no browser: ${textOf(error).trim().split('\n').at(-1)}` }
  }
}

async function examine(path: string, source: Browser['source'], more: NodeJS.ProcessEnv = {}) {
  const env = { ...process.env, ...more }
  try {
    const { stdout } = await run(path, ['--version'], { env, timeout: 30_000 })
    const [, version] = /(\d+\.\d+\.\d+\S*)/.exec(stdout) ?? []
    return version === undefined ? { reason: `${path} prints no version` } : { path, version, source, env }
  } catch (error) {
    return { reason: `${path} does not run: ${textOf(error).trim()}` }
  }
}

function cachePlace(): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  return join(cache, 'tidings', `chromium-${packaged.split('@').at(-1)}`)
}

/** The folder appears whole or not at all. */
async function download(place: string, onDownload: (text: string) => void): Promise<void> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `set TIDINGS_BROWSER to a Chromium: there is none to download for ${process.platform} ${process.arch}`,
    )
  onDownload(`downloading ${packaged} (70 MB) into ${place}, once …`)
  await mkdir(join(place, '..'), { recursive: true })
  const folder = await mkdtemp(`${place}-`)
  try {
    const { stdout } = await run('npm', ['pack', packaged, '--silent', '--pack-destination', folder], { cwd: folder })
    await run('tar', ['xzf', stdout.trim()], { cwd: folder })
    for (const name of ['chromium', 'al2023.tar', 'fonts.tar'])
      await pipeline(
        createReadStream(join(folder, 'package/bin', `${name}.br`)),
        createBrotliDecompress(),
        createWriteStream(join(folder, name)),
      )
    for (const name of ['al2023.tar', 'fonts.tar']) await run('tar', ['xf', name], { cwd: folder })
    await chmod(join(folder, 'chromium'), 0o755)
    await writeFile(join(folder, 'fonts.conf'), fontsIn(place))
    for (const name of ['package', 'al2023.tar', 'fonts.tar', stdout.trim()])
      await rm(join(folder, name), { recursive: true })
    await rename(folder, place)
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(place)) throw error
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const fontsIn = (place: string) => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${place}/fonts</dir><dir>/usr/share/fonts</dir><cachedir>${place}/fonts-cache</cachedir></fontconfig>
`
