import { statSync } from 'node:fs'
import { logFile } from './schema.ts'

/** Identifies a file independently of its path. */
export interface FileId {
  readonly dev: number
  readonly ino: number
}

export function fileId(path: string): FileId | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && { dev: found.dev, ino: found.ino }
}

export const isSameFile = (one: FileId, other: FileId | undefined) => one.dev === other?.dev && one.ino === other.ino

/**
 * Notices when a file of an open log is removed or replaced: SQLite then goes on writing to a file that no longer has a path.
 * SQLite itself creates none of the three files while a connection is open.
 */
export class OpenFiles {
  readonly #paths: readonly string[]
  readonly #ids: readonly (FileId | undefined)[]

  /** The log must be open and have been used, so that all of its files exist. */
  constructor(home: string) {
    this.#paths = ['', '-wal', '-shm'].map(suffix => logFile(home) + suffix)
    this.#ids = this.#paths.map(fileId)
  }

  /** A path that leads to another file now, or to none. */
  get replacedPath(): string | undefined {
    return this.#paths.find((path, i) => !this.#ids[i] || !isSameFile(this.#ids[i], fileId(path)))
  }
}
