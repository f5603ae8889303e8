import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { TidingsError } from '../../errors.ts'

/*
 * log        every event, by position. Ids made by the runtime begin with their correlation, so the unique index on
 *            the id finds them; only events from outside need the second, partial index.
 * live       unfinished tasks: wake-up, and the position from which the log must be kept for them
 * seals      finished tasks whose first turn was purged, for as long again as events are kept
 * snapshots  the latest snapshot of a live task
 * groups     consumer groups; `next` is the first position that a shared group has not looked at
 * claims     deliveries of shared groups in somebody's hand, and redeliveries of sharded ones
 * aside      deliveries that wait: delayed (handed out again when due), dead, parked
 * leases     who owns a shard of a sharded group; below `next` everything is settled or aside; up to `suspect` an
 *            owner that died may have handed events out
 * members    open drivers;  consumers  their subscriptions, each with what it asked for
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
    PRIMARY KEY(pos, grp)) WITHOUT ROWID;
  CREATE TABLE aside(
    id INTEGER PRIMARY KEY AUTOINCREMENT, pos INTEGER NOT NULL, grp TEXT NOT NULL, shard INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, due INTEGER, reason TEXT NOT NULL, key TEXT, UNIQUE(pos, grp));
  CREATE INDEX aside_due ON aside(grp, due) WHERE state = 'delayed';
  CREATE INDEX aside_key ON aside(key) WHERE key IS NOT NULL;
  CREATE TABLE leases(
    grp TEXT NOT NULL, shard INTEGER NOT NULL, owner INTEGER, next INTEGER NOT NULL, suspect INTEGER NOT NULL,
    PRIMARY KEY(grp, shard)) WITHOUT ROWID;
  CREATE TABLE members(
    id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL, started TEXT NOT NULL, host TEXT NOT NULL,
    until INTEGER NOT NULL);
  CREATE TABLE consumers(owner INTEGER PRIMARY KEY, grp TEXT NOT NULL, filter TEXT NOT NULL);
  CREATE TABLE documents(key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
`

const schemaVersion = 1

/** Pages of 8 KiB after which the write-ahead log is copied into the file and starts over. */
export const walPages = 1_000

export const logFile = (home: string) => join(home, 'log.db')

/** A prepared statement with the shape of its rows. */
export interface Statement<R> {
  get(...values: Value[]): R | undefined
  all(...values: Value[]): R[]
  run(...values: Value[]): { changes: number | bigint }
}
export type Value = string | number | null

export const prepare = <R>(db: DatabaseSync, sql: string) => db.prepare(sql) as unknown as Statement<R>

/** Makes the home and the log where they do not exist yet and returns the number of shards of the log. */
export function prepareHome(home: string, shards: number): number {
  try {
    mkdirSync(home, { recursive: true })
    return patiently(() => prepareLog(logFile(home), shards))
  } catch (cause) {
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError('E_LOG_UNAVAILABLE', `The log in ${home} cannot be opened: ${text(cause)}`, { cause })
  }
}

function prepareLog(file: string, shards: number): number {
  const db = new DatabaseSync(file, { timeout: 60_000 })
  try {
    db.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const version = () => prepare<{ user_version: number }>(db, 'PRAGMA user_version').get()!.user_version
    if (version() > schemaVersion)
      throw new TidingsError('E_LOG_VERSION', `${file} has schema ${version()}; this Tidings knows ${schemaVersion}`)
    if (version() === 0) {
      db.exec('BEGIN IMMEDIATE')
      const isNew = version() === 0
      if (isNew) {
        db.exec(ddl)
        db.exec(`INSERT INTO meta VALUES ('shards', ${Math.trunc(shards)}), ('head', 0)`)
        db.exec(`PRAGMA user_version = ${schemaVersion}`)
      }
      db.exec('COMMIT')
      if (isNew) stretch(db)
    }
    return prepare<{ value: number }>(db, `SELECT value FROM meta WHERE key = 'shards'`).get()!.value
  } finally {
    db.close()
  }
}

/**
 * Lets the write-ahead log grow to the size at which it starts over, before anybody waits for it: an fsync of a file
 * that grows costs twice as much.
 */
function stretch(db: DatabaseSync): void {
  db.exec(`CREATE TABLE stretch(x); INSERT INTO stretch VALUES (zeroblob(${walPages * 8_192})); DROP TABLE stretch`)
  db.exec('PRAGMA wal_checkpoint(RESTART)')
}

/** Another process may be making the same log; SQLite's own patience does not cover the change to WAL. */
export function patiently<T>(work: () => T): T {
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}

export function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0
  return code === 5
}

export const text = (error: unknown) => (error instanceof Error ? error.message : String(error))
