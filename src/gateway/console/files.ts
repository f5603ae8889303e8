import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzip } from 'node:zlib'
import { promisify } from 'node:util'

/** Where the set-up builds the console: beside `src`, and in the published package. */
const folder = fileURLToPath(new URL('../../../dist/console', import.meta.url))

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** A file of the console, as browsers get it. */
export interface ConsoleFile {
  readonly body: Buffer<ArrayBuffer>
  readonly gzipped: Buffer<ArrayBuffer>
  readonly mediaType: string
}

const files = new Map<string, Promise<ConsoleFile | undefined>>()

/** A file of the built console by its path, such as `assets/index-4f2a.js`; undefined if there is none. */
export function consoleFile(path: string): Promise<ConsoleFile | undefined> {
  const mediaType = mediaTypes[extname(path)]
  if (mediaType === undefined || !/^(?:[\w-]+\/)?[\w.-]+$/.test(path)) return Promise.resolve(undefined)
  let file = files.get(path)
  if (!file) files.set(path, (file = read(path, mediaType)))
  return file
}

async function read(path: string, mediaType: string): Promise<ConsoleFile | undefined> {
  try {
    const body = await readFile(join(folder, path))
    return { body, gzipped: await promisify(gzip)(body), mediaType }
  } catch (error) {
    files.delete(path)
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
