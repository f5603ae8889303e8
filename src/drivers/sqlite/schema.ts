import { randomInt } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isOpenToOthers, makePrivateFile, makePrivateFolder, restrictFolder } from '../../bus/private-files.ts'
import { isBusy, prepareSql } from '../../bus/sql.ts'
import { TidingsError } from '../../errors.ts'
import { describeThrown } from '../../thrown.ts'
import { assertComplete, readMark } from './log-mark.ts'

/*
 * log        every event, by position. Ids made by the runtime begin with their correlation, so the unique index on
 *            the id finds them; only events from outside need the second, partial index
 * live       unfinished tasks: the wake-up, and the position from which the log must be kept for them
 * seals      finished tasks whose first turn was purged, kept once more for as long as events are
 * snapshots  the latest snapshot of a live task
 * groups     consumer groups; `next` is the first position that a shared group has not read
 * claims     deliveries of shared groups in flight, and redeliveries of sharded ones
 * aside      deferred deliveries: delayed (dispatched when due), dead, parked
 * leases     who owns a shard of a sharded group; below `next` everything is settled or deferred; an owner that died
 *            may have delivered events up to `suspect`
 * documents  small named values; past `until` a document does not exist
 * members    open drivers;  consumers  their subscriptions, each with its filter
 * meta       shards, the newest position of a log that was purged (head), the newest that a purge may have removed (horizon), and the
 *            random number of this log (log)
 */
const ddl = `
  CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE log(
    pos INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, target TEXT, correlation TEXT NOT NULL,
    shard INTEGER NOT NULL, event TEXT NOT NULL);
  CREATE INDEX log_origin ON log(correlation) WHERE substr(id, 1, 36) <> correlation;
  CREATE TABLE live(
    task TEXT PRIMARY KEY, grp TEXT NOT NULL, shard INTEGER NOT NULL, pos INTEGER NOT NULL,
    wake INTEGER) WITHOUT ROWID;
  CREATE INDEX live_wake ON live(wake, task) WHERE wake IS NOT NULL;
  CREATE TABLE seals(task TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE snapshots(task TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL);
  CREATE TABLE groups(
    name TEXT PRIMARY KEY, mode TEXT NOT NULL, filter TEXT NOT NULL, next INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE claims(
    pos INTEGER NOT NULL, grp TEXT NOT NULL, shard INTEGER NOT NULL, owner INTEGER NOT NULL, attempts INTEGER NOT NULL,
    memo TEXT, PRIMARY KEY(pos, grp)) WITHOUT ROWID;
  CREATE TABLE aside(
    id INTEGER PRIMARY KEY AUTOINCREMENT, pos INTEGER NOT NULL, grp TEXT NOT NULL, shard INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER, reason TEXT NOT NULL, key TEXT, memo TEXT,
    UNIQUE(pos, grp));
  CREATE INDEX aside_due ON aside(grp, due) WHERE state = 'delayed';
  CREATE INDEX aside_key ON aside(key) WHERE key IS NOT NULL;
  CREATE TABLE leases(
    grp TEXT NOT NULL, shard INTEGER NOT NULL, owner INTEGER, next INTEGER NOT NULL, suspect INTEGER NOT NULL,
    PRIMARY KEY(grp, shard)) WITHOUT ROWID;
  CREATE TABLE members(
    id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL, started TEXT NOT NULL, host TEXT NOT NULL,
    until INTEGER NOT NULL);
  CREATE TABLE consumers(owner INTEGER PRIMARY KEY, grp TEXT NOT NULL, filter TEXT NOT NULL);
  CREATE TABLE documents(
    key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value TEXT NOT NULL, until INTEGER) WITHOUT ROWID;
  CREATE INDEX documents_until ON documents(until) WHERE until IS NOT NULL;
`

const schemaVersion = 3
/** Statements that upgrade a schema of version n to n + 1, for n from 1. */
const upgrades = [
  'ALTER TABLE claims ADD COLUMN memo TEXT; ALTER TABLE aside ADD COLUMN memo TEXT',
  `ALTER TABLE documents ADD COLUMN until INTEGER;
   CREATE INDEX documents_until ON documents(until) WHERE until IS NOT NULL`,
]

/** Number of pages (8 KiB) after which SQLite checkpoints the write-ahead log. */
export const walPages = 1_000

/** The owner of a claim or lease is a consumer: member × `consumersPerMember` + number of the consumer. */
export const consumersPerMember = 1_000_000

export const logFile = (home: string) => join(home, 'log.db')

/** Selects the newest position as `head`, even if all events up to it were purged. */
export const newestPosition = `SELECT max(ifnull((SELECT max(pos) FROM log), 0), (SELECT value FROM meta WHERE key = 'head')) AS head`

const ownFiles = [
  'console.key',
  'log.db',
  'log.db-wal',
  'log.db-shm',
  'log.mark',
  'doorbell',
  'signals.jsonl',
  'blobs',
  'index',
  'nats',
]

/** What never changes about a log. */
export interface LogIdentity {
  readonly shards: number
  /** Random number that tells it from another log. */
  readonly log: number
}

/** Creates the home and the log if they do not exist. @throws E_LOG_UNAVAILABLE, E_LOG_VERSION, E_LOG_INCOMPLETE */
export function prepareHome(home: string, shards: number): LogIdentity {
  const file = logFile(home)
  try {
    makePrivateFolder(home)
    // The mark is read before the log, because another process may append in between.
    const mark = readMark(home)
    if (!statSync(file, { throwIfNoEntry: false })?.size) assertComplete(home, mark, undefined)
    makePrivateFile(file)
    if (isOpenToOthers(file) || isOpenToOthers(home)) restrictFolder(home, ownFiles)
    const { head, ...identity } = retryWhileBusy(() => prepareLog(file, shards))
    assertComplete(home, mark, { log: identity.log, head })
    return identity
  } catch (cause) {
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError('E_LOG_UNAVAILABLE', `the log in "${home}" cannot be opened: ${describeThrown(cause)}`, {
      cause,
    })
  }
}

function prepareLog(file: string, shards: number): LogIdentity & { head: number } {
  using db = new DatabaseSync(file, { timeout: 60_000 })
  db.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  const version = () => schemaVersionOf(db, file)
  if (version() === 0) {
    db.exec('BEGIN IMMEDIATE')
    const isNew = version() === 0
    if (isNew) {
      db.exec(ddl)
      db.exec(`INSERT INTO meta VALUES ('shards', ${Math.trunc(shards)}), ('head', 0)`)
      db.exec(`PRAGMA user_version = ${schemaVersion}`)
    }
    db.exec('COMMIT')
    if (isNew) preallocateWal(db)
  }
  if (version() < schemaVersion) {
    db.exec('BEGIN IMMEDIATE')
    for (const upgrade of upgrades.slice(version() - 1)) db.exec(upgrade)
    db.exec(`PRAGMA user_version = ${schemaVersion}; COMMIT`)
  }
  const meta = prepareSql<{ value: number }>(db, 'SELECT value FROM meta WHERE key = ?')
  if (!meta.get('log')) prepareSql(db, `INSERT OR IGNORE INTO meta VALUES ('log', ?)`).run(randomInt(1, 2 ** 47))
  return readIdentity(db)
}

/** 0 if the file holds no log yet. @throws E_LOG_VERSION */
export function schemaVersionOf(db: DatabaseSync, file: string): number {
  const { user_version: version } = prepareSql<{ user_version: number }>(db, 'PRAGMA user_version').get()!
  if (version > schemaVersion)
    throw new TidingsError(
      'E_LOG_VERSION',
      `"${file}" has schema version ${version}, but this version of Tidings supports up to ${schemaVersion}`,
    )
  return version
}

/** `log` is 0 if the log was created by a version that did not number logs. */
export function readIdentity(db: DatabaseSync): LogIdentity & { head: number } {
  const meta = prepareSql<{ value: number }>(db, 'SELECT value FROM meta WHERE key = ?')
  const { head } = prepareSql<{ head: number }>(db, newestPosition).get()!
  return { shards: meta.get('shards')!.value, log: meta.get('log')?.value ?? 0, head }
}

/** Grows the write-ahead log to the size at which it is checkpointed: an fsync of a file that grows takes twice as long. */
function preallocateWal(db: DatabaseSync): void {
  db.exec(`CREATE TABLE filler(x); INSERT INTO filler VALUES (zeroblob(${walPages * 8_192})); DROP TABLE filler`)
  db.exec('PRAGMA wal_checkpoint(RESTART)')
}

/** Another process may be creating the same log, and SQLite's busy timeout does not cover the change to WAL. */
export function retryWhileBusy<T>(work: () => T): T {
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}
