import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makePrivateFile, makePrivateFolder } from '../../bus/private-files.ts'
import { TidingsError } from '../../errors.ts'
import { describeThrown } from '../../thrown.ts'
import { isBusy } from '../../bus/sql.ts'
import { LocalIndex } from './local-index.ts'
import type { LogTopics } from './topics.ts'

const version = '1'
/** Half of `delete.retention.ms` of the state: after that the broker may have dropped deletions that the file has not seen. */
const maxAgeMs = 12 * 3_600_000

/** An index and the file that it is in. */
export interface IndexFile {
  readonly index: LocalIndex
  close(): void
}

/**
 * Opens the index of a process: the first file in the folder that no other process uses, so that it survives a restart; without a
 * folder, one that is deleted on close. @throws E_INDEX_UNAVAILABLE
 */
export function openIndexFile(home: string | undefined, topics: LogTopics): IndexFile {
  const folder = home === undefined ? mkdtempSync(join(tmpdir(), 'tidings-kafka-')) : join(home, 'kafka')
  try {
    makePrivateFolder(folder)
    const index = firstFree(folder, topics)
    return {
      index,
      close() {
        index.close()
        if (home === undefined) rmSync(folder, { recursive: true, force: true })
      },
    }
  } catch (cause) {
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError(
      'E_INDEX_UNAVAILABLE',
      `the index of the log in "${folder}" cannot be opened: ${describeThrown(cause)}`,
      { cause },
    )
  }
}

function firstFree(folder: string, topics: LogTopics): LocalIndex {
  for (let n = 0; ; n++) {
    const path = join(folder, `${topics.names.log}-${n}.db`)
    const isRecent = Date.now() - changedAt(path) < maxAgeMs
    const db = openAlone(path)
    if (!db) continue
    if (isRecent && isOf(db, topics)) return new LocalIndex(db, topics.names.partitions)
    // The file is locked, so nobody else uses it.
    db.close()
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true })
    const fresh = openAlone(path)
    if (!fresh) continue
    const index = new LocalIndex(fresh, topics.names.partitions)
    index.setMeta('version', version)
    for (const [topic, id] of topics.ids) index.setMeta(topic, id)
    return index
  }
}

/** Undefined if another process has it open. The lock ends with the process. */
function openAlone(path: string): DatabaseSync | undefined {
  makePrivateFile(path)
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL')
    db.exec('BEGIN IMMEDIATE; COMMIT')
    return db
  } catch (error) {
    db.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

function isOf(db: DatabaseSync, { ids }: LogTopics): boolean {
  try {
    const rows = db.prepare('SELECT key, value FROM meta').all() as { key: string; value: string }[]
    const meta = new Map(rows.map(({ key, value }) => [key, value]))
    return meta.get('version') === version && [...ids].every(([topic, id]) => meta.get(topic) === id)
  } catch {
    return false
  }
}

const changedAt = (path: string) =>
  Math.max(...['', '-wal'].map(suffix => statSync(path + suffix, { throwIfNoEntry: false })?.mtimeMs ?? 0))
