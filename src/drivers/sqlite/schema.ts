import { randomInt } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isOpenToOthers, makePrivateFile, makePrivateFolder, restrictFolder } from '../../bus/private-files.ts'
import { TidingsError } from '../../errors.ts'
import { assertComplete, readMark } from './mark.ts'

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
 * meta       shards, the newest position of a log that was purged (head), and what tells this log from another one (log)
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
  CREATE TABLE documents(key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
`

const schemaVersion = 2
/** What makes a schema of version n into one of n + 1, for n from 1. */
const upgrades = ['ALTER TABLE claims ADD COLUMN memo TEXT; ALTER TABLE aside ADD COLUMN memo TEXT']

/** Pages of 8 KiB after which the write-ahead log is copied into the file and starts over. */
export const walPages = 1_000

/** Owners of claims and leases are consumers; their numbers tell the member. */
export const consumersPerMember = 1_000_000

export const logFile = (home: string) => join(home, 'log.db')

/** As `head`: the newest position, also where all events up to it were purged. */
export const newestPosition = `SELECT max(ifnull((SELECT max(pos) FROM log), 0), (SELECT value FROM meta WHERE key = 'head')) AS head`

/** A prepared statement with the shape of its rows. */
export interface Statement<R> {
  get(...values: Value[]): R | undefined
  all(...values: Value[]): R[]
  run(...values: Value[]): { changes: number | bigint }
}
export type Value = string | number | null

export const prepare = <R>(db: DatabaseSync, sql: string) => db.prepare(sql) as unknown as Statement<R>

const ours = ['log.db', 'log.db-wal', 'log.db-shm', 'log.mark', 'doorbell', 'signals.jsonl', 'blobs', 'index', 'nats']

/** What of a log never changes. */
export interface LogFacts {
  readonly shards: number
  /** Tells it from another log. */
  readonly log: number
}

/** Makes the home and the log where they do not exist yet. @throws E_LOG_UNAVAILABLE, E_LOG_VERSION, E_LOG_INCOMPLETE */
export function prepareHome(home: string, shards: number): LogFacts {
  const file = logFile(home)
  try {
    makePrivateFolder(home)
    // Read before the log is: it never says more than the log does then.
    const mark = readMark(home)
    if (!statSync(file, { throwIfNoEntry: false })?.size) assertComplete(home, mark, undefined)
    makePrivateFile(file)
    if (isOpenToOthers(file) || isOpenToOthers(home)) restrictFolder(home, ours)
    const { head, ...facts } = patiently(() => prepareLog(file, shards))
    assertComplete(home, mark, { log: facts.log, head })
    return facts
  } catch (cause) {
    if (cause instanceof TidingsError) throw cause
    throw new TidingsError('E_LOG_UNAVAILABLE', `The log in ${home} cannot be opened: ${text(cause)}`, { cause })
  }
}

function prepareLog(file: string, shards: number): LogFacts & { head: number } {
  const db = new DatabaseSync(file, { timeout: 60_000 })
  try {
    db.exec('PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    const version = () => versionOf(db, file)
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
    if (version() < schemaVersion) {
      db.exec('BEGIN IMMEDIATE')
      for (const upgrade of upgrades.slice(version() - 1)) db.exec(upgrade)
      db.exec(`PRAGMA user_version = ${schemaVersion}; COMMIT`)
    }
    const meta = prepare<{ value: number }>(db, 'SELECT value FROM meta WHERE key = ?')
    if (!meta.get('log')) prepare(db, `INSERT OR IGNORE INTO meta VALUES ('log', ?)`).run(randomInt(1, 2 ** 47))
    return factsOf(db)
  } finally {
    db.close()
  }
}

/** 0 for a file in which no log was made yet. @throws E_LOG_VERSION */
export function versionOf(db: DatabaseSync, file: string): number {
  const { user_version: version } = prepare<{ user_version: number }>(db, 'PRAGMA user_version').get()!
  if (version > schemaVersion)
    throw new TidingsError('E_LOG_VERSION', `${file} has schema ${version}; this Tidings knows ${schemaVersion}`)
  return version
}

/** `log` is 0 for a log of before it had a number. */
export function factsOf(db: DatabaseSync): LogFacts & { head: number } {
  const meta = prepare<{ value: number }>(db, 'SELECT value FROM meta WHERE key = ?')
  const { head } = prepare<{ head: number }>(db, newestPosition).get()!
  return { shards: meta.get('shards')!.value, log: meta.get('log')?.value ?? 0, head }
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
