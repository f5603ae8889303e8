import { accessSync, constants, copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { TidingsError } from '../../errors.ts'
import { describeThrown } from '../../thrown.ts'
import { assertComplete, readMark } from './log-mark.ts'
import { type LogIdentity, logFile, readIdentity, retryWhileBusy, schemaVersionOf } from './schema.ts'

/*
 * A log that is only read. SQLite needs log.db-wal, which holds the newest commits, and log.db-shm, which holds its locks. If the
 * folder cannot be written:
 *
 *     no log.db-wal                  the log was closed and has no writer: it is opened as immutable
 *     log.db-wal and log.db-shm      SQLite reads both as they are
 *     log.db-wal alone (a backup)    SQLite must create log.db-shm, so the log is copied to the temporary folder
 */

export interface ReadableLog extends LogIdentity {
  /** A path or a `file:` URL for SQLite. */
  readonly file: string | URL
  /** Call when the log is closed. */
  readonly release: () => void
}

/** Finds out how a log can be read. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE, E_LOG_VERSION, E_LOG_INCOMPLETE */
export function findReadableLog(home: string): ReadableLog {
  if (!sizeOf(logFile(home))) {
    assertComplete(home, readMark(home), undefined)
    throw new TidingsError('E_NOT_FOUND', `there is no log in "${home}"`)
  }
  const mark = readMark(home)
  const { file, release } = locationOf(home)
  try {
    const { head, ...identity } = retryWhileBusy(() => identityIn(file, home))
    assertComplete(home, identity.log === 0 ? undefined : mark, { log: identity.log, head })
    return { ...identity, file, release }
  } catch (cause) {
    release()
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError('E_LOG_UNAVAILABLE', `the log in "${home}" cannot be read: ${describeThrown(cause)}`, {
      cause,
    })
  }
}

function identityIn(file: string | URL, home: string) {
  using db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
  if (schemaVersionOf(db, logFile(home)) === 0) throw new TidingsError('E_NOT_FOUND', `there is no log in "${home}"`)
  return readIdentity(db)
}

function locationOf(home: string): Pick<ReadableLog, 'file' | 'release'> {
  const path = logFile(home)
  const release = () => {}
  if (isWritable(home)) return { file: path, release }
  if (!sizeOf(`${path}-wal`)) return { file: new URL(`${pathToFileURL(path).href}?immutable=1`), release }
  return sizeOf(`${path}-shm`) ? { file: path, release } : copyLog(path)
}

function copyLog(path: string): Pick<ReadableLog, 'file' | 'release'> {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-log-'))
  const file = logFile(folder)
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, file + suffix)
  return { file, release: () => rmSync(folder, { recursive: true, force: true }) }
}

const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size

function isWritable(home: string): boolean {
  try {
    accessSync(home, constants.W_OK)
    return true
  } catch {
    return false
  }
}
