import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { constants, type BigIntStats } from 'node:fs'
import { lstat, open, opendir, realpath, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

/* Reads the files of a folder. Paths are relative to it, with `/`. Links are not followed, so that nothing outside is read. */

/** The state of a file at a moment; another state has another stamp. */
export interface FileState {
  readonly stamp: string
  readonly bytes: number
  /** Ms since the epoch. */
  readonly modified: number
  /** Moved here, or its mode or times were set, after the last write: probably complete. */
  readonly isSettled: boolean
}

const gone = new Set(['ENOENT', 'ENOTDIR'])
const isNotFound = (error: unknown) => gone.has((error as NodeJS.ErrnoException).code ?? '')

/** Undefined if there is no regular file. Throws if that cannot be determined. */
export async function inspectFile(folder: string, path: string): Promise<FileState | undefined> {
  try {
    return stateOf(await lstat(join(folder, path), { bigint: true }))
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

const stateOf = (stats: BigIntStats): FileState | undefined =>
  stats.isFile()
    ? {
        stamp: `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`,
        bytes: Number(stats.size),
        modified: Number(stats.mtimeMs),
        isSettled: stats.size > 0n && stats.ctimeNs > stats.mtimeNs,
      }
    : undefined

export interface FileContent {
  /** The first half of the SHA-256. */
  readonly digest: string
  /** Undefined if the file is larger than the limit. */
  readonly bytes: Buffer | undefined
}

const chunkBytes = 64 * 1024

/** Undefined if the file changed before or while it was read. */
export async function readUnchanged(
  folder: string,
  path: string,
  expected: FileState,
  maxBytes: number,
): Promise<FileContent | undefined> {
  const full = join(folder, path)
  try {
    // A link or a pipe may have replaced the file: neither follow nor block.
    await using file = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const isUnchanged = async () => stateOf(await file.stat({ bigint: true }))?.stamp === expected.stamp
    // A parent folder may have become a link.
    if ((await realpath(full)) !== full || !(await isUnchanged())) return undefined
    const content = await readAll(file, expected.bytes, maxBytes)
    return content && (await isUnchanged()) ? content : undefined
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

async function readAll(file: FileHandle, size: number, maxBytes: number): Promise<FileContent | undefined> {
  const digest = createHash('sha256')
  const content = size <= maxBytes ? Buffer.allocUnsafe(size) : undefined
  const buffer = content ?? Buffer.allocUnsafe(chunkBytes)
  for (let at = 0; at < size; ) {
    const into = content ? content.subarray(at, at + chunkBytes) : buffer
    const { bytesRead } = await file.read(into, 0, Math.min(into.length, size - at), at)
    if (bytesRead === 0) return undefined
    digest.update(into.subarray(0, bytesRead))
    at += bytesRead
  }
  return { digest: digest.digest('hex').slice(0, 32), bytes: content }
}

export const isHiddenPath = (path: string) => path.startsWith('.') || path.includes('/.')

/**
 * All files of a folder and its subfolders, without hidden ones. Reports names that are not UTF-8, which an event cannot
 * contain, and folders that cannot be read.
 */
export async function* walkFolder(
  folder: string,
  onProblem: (path: string, why: string) => void,
): AsyncGenerator<string> {
  const folders = ['']
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    try {
      for await (const entry of await opendir(join(folder, at), { encoding: 'buffer' as BufferEncoding })) {
        const name = entry.name as unknown as Buffer
        const path = `${at}${name.toString()}`
        if (name[0] === 0x2e || !(entry.isFile() || entry.isDirectory())) continue
        if (!isUtf8(name)) onProblem(path, 'its name is not UTF-8')
        else if (entry.isDirectory()) folders.push(`${path}/`)
        else yield path
      }
    } catch (error) {
      if (!isNotFound(error)) onProblem(at, (error as Error).message)
    }
  }
}
