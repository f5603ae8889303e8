import { statSync } from 'node:fs'
import { logFile } from './schema.ts'

/** Which file a path leads to. */
export interface FileId {
  readonly dev: number
  readonly ino: number
}

export function fileId(path: string): FileId | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && { dev: found.dev, ino: found.ino }
}

export const isSame = (one: FileId, other: FileId | undefined) => one.dev === other?.dev && one.ino === other.ino

/**
 * Whether the paths of an open log still lead to the files that are open. Where they were removed or replaced, SQLite goes on
 * writing to files that nobody will ever find. While a connection is open, none of the three is made anew.
 */
export class FilesInPlace {
  readonly #paths: readonly string[]
  readonly #seen: readonly (FileId | undefined)[]

  /** `home`: of a log that is open and was used, so that all of its files are there. */
  constructor(home: string) {
    this.#paths = ['', '-wal', '-shm'].map(suffix => logFile(home) + suffix)
    this.#seen = this.#paths.map(fileId)
  }

  /** A path that leads somewhere else by now, or nowhere. */
  get lost(): string | undefined {
    return this.#paths.find((path, i) => !this.#seen[i] || !isSame(this.#seen[i], fileId(path)))
  }
}
