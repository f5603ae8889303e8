import { accessSync, constants, copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { TidingsError } from '../../errors.ts'
import { assertComplete, readMark } from './mark.ts'
import { factsOf, logFile, patiently, text, versionOf, type LogFacts } from './schema.ts'

/*
 * A log that is only read. SQLite keeps its locks in log.db-shm, beside a log that is not closed in log.db-wal. Where the folder cannot be written:
 *
 *     no log.db-wal                  the log is whole, and nobody writes it: opened as immutable
 *     log.db-wal and log.db-shm      SQLite reads both as they are
 *     log.db-wal alone, a backup     SQLite must make the other file: both are copied to where it can
 */

export interface ReadableLog extends LogFacts {
  /** As SQLite opens it. */
  readonly file: string | URL
  readonly leave: () => void
}

/** Finds out how a log can be read, and that it can. @throws E_NOT_FOUND, E_LOG_UNAVAILABLE, E_LOG_VERSION, E_LOG_INCOMPLETE */
export function readableLog(home: string): ReadableLog {
  if (!sizeOf(logFile(home))) {
    assertComplete(home, readMark(home), undefined)
    throw new TidingsError('E_NOT_FOUND', `there is no log in ${home}`)
  }
  const mark = readMark(home)
  const { file, leave } = locationOf(home)
  try {
    const { head, ...facts } = patiently(() => factsIn(file, home))
    assertComplete(home, facts.log === 0 ? undefined : mark, { log: facts.log, head })
    return { ...facts, file, leave }
  } catch (cause) {
    leave()
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError('E_LOG_UNAVAILABLE', `The log in ${home} cannot be read: ${text(cause)}`, { cause })
  }
}

function factsIn(file: string | URL, home: string) {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
  try {
    if (versionOf(db, logFile(home)) === 0) throw new TidingsError('E_NOT_FOUND', `there is no log in ${home}`)
    return factsOf(db)
  } finally {
    db.close()
  }
}

function locationOf(home: string): Pick<ReadableLog, 'file' | 'leave'> {
  const path = logFile(home)
  const leave = () => {}
  if (isWritable(home)) return { file: path, leave }
  if (!sizeOf(`${path}-wal`)) return { file: new URL(`${pathToFileURL(path).href}?immutable=1`), leave }
  return sizeOf(`${path}-shm`) ? { file: path, leave } : copied(path)
}

function copied(path: string): Pick<ReadableLog, 'file' | 'leave'> {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-log-'))
  const file = logFile(folder)
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, file + suffix)
  return { file, leave: () => rmSync(folder, { recursive: true, force: true }) }
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
