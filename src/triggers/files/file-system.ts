import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, opendir, realpath, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

/* What lies in a folder. Paths are relative to it, with `/`; links are not followed, so that nothing outside is read. */

/** A file as it is at a moment: another stamp is another state of it. */
export interface FileState {
  readonly stamp: string
  readonly bytes: number
  /** Ms since the epoch. */
  readonly modified: number
  /** Moved here, or finished with (its mode or times were set), since it was last written. */
  readonly isSettled: boolean
}

const gone = new Set(['ENOENT', 'ENOTDIR'])
export const isNotFound = (error: unknown) => gone.has((error as NodeJS.ErrnoException).code ?? '')

/** Undefined where there is no file, be it that something else is there. Throws where that cannot be told. */
export async function inspectFile(folder: string, path: string): Promise<FileState | undefined> {
  try {
    return seen(await lstat(join(folder, path), { bigint: true }))
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

const seen = (stats: BigIntStats): FileState | undefined =>
  stats.isFile()
    ? {
        stamp: `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`,
        bytes: Number(stats.size),
        modified: Number(stats.mtimeMs),
        isSettled: stats.size > 0n && stats.ctimeNs > stats.mtimeNs,
      }
    : undefined

export interface FileContent {
  /** SHA-256, of which half is plenty. */
  readonly digest: string
  /** Undefined where there are more than are wanted. */
  readonly bytes: Buffer | undefined
}

const chunkBytes = 64 * 1024

/** Undefined where the file is not what was seen any more, before or after it was read. */
export async function readUnchanged(
  folder: string,
  path: string,
  expected: FileState,
  most: number,
): Promise<FileContent | undefined> {
  const full = join(folder, path)
  // Neither follows a link nor waits at a pipe, which may have taken the place of the file.
  const file = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const isIt = async () => seen(await file.stat({ bigint: true }))?.stamp === expected.stamp
    // A folder on the way may have become a link meanwhile.
    if ((await realpath(full)) !== full || !(await isIt())) return undefined
    const content = await readAll(file, expected.bytes, most)
    return content && (await isIt()) ? content : undefined
  } finally {
    await file.close()
  }
}

async function readAll(file: FileHandle, size: number, most: number): Promise<FileContent | undefined> {
  const digest = createHash('sha256')
  const whole = size <= most ? Buffer.allocUnsafe(size) : undefined
  const room = whole ?? Buffer.allocUnsafe(chunkBytes)
  for (let at = 0; at < size; ) {
    const into = whole ? whole.subarray(at, at + chunkBytes) : room
    const { bytesRead } = await file.read(into, 0, Math.min(into.length, size - at), at)
    if (bytesRead === 0) return undefined
    digest.update(into.subarray(0, bytesRead))
    at += bytesRead
  }
  return { digest: digest.digest('hex').slice(0, 32), bytes: whole }
}

export const isHiddenPath = (path: string) => path.startsWith('.') || path.includes('/.')

/**
 * All files of a folder and those below, without hidden ones. Of what it passes over it says why: names that are not UTF-8,
 * which no event could carry, and folders that cannot be read.
 */
export async function* walkFolder(
  folder: string,
  onProblem: (path: string, why: string) => void,
): AsyncGenerator<string> {
  const waiting = ['']
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    try {
      for await (const entry of await opendir(join(folder, at), { encoding: 'buffer' as BufferEncoding })) {
        const name = entry.name as unknown as Buffer
        const path = `${at}${name.toString()}`
        if (name[0] === 0x2e || !(entry.isFile() || entry.isDirectory())) continue
        if (!isUtf8(name)) onProblem(path, 'its name is not UTF-8')
        else if (entry.isDirectory()) waiting.push(`${path}/`)
        else yield path
      }
    } catch (error) {
      if (!isNotFound(error)) onProblem(at, (error as Error).message)
    }
  }
}
