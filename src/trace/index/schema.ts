import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makePrivateFile, makePrivateFolder } from '../../bus/private-files.ts'
import { textOf, TidingsError } from '../../errors.ts'

/*
 * What finds events, and no event: a projection of the log that may be deleted at any time.
 *
 * state         up to where the log was read, and the last event that was there: by it another log is recognised
 * names         types, programs and targets, written once
 * correlations  what shares a correlation: from where to where, how much, what models took for it
 * tasks         by the newest turn; without a program if no turn was read; `retried` once the task that goes on from it has begun
 * calls         what live tasks wait for
 * failures      tasks that failed and that nobody retried or dismissed, by the event that says so
 * events        `name` is what follows the task in an id that the runtime made, else the whole id
 * words         full text by position, without the text
 */
const ddl = `
  CREATE TABLE state(read INTEGER NOT NULL, last INTEGER NOT NULL, id TEXT NOT NULL);
  INSERT INTO state VALUES (0, 0, '');
  CREATE TABLE names(key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE correlations(
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, first INTEGER NOT NULL, last INTEGER NOT NULL,
    events INTEGER NOT NULL, tokens INTEGER NOT NULL, cost REAL NOT NULL);
  CREATE INDEX correlations_last ON correlations(last);
  CREATE TABLE tasks(
    key INTEGER PRIMARY KEY, correlation INTEGER NOT NULL, hash TEXT NOT NULL, program INTEGER, version INTEGER, code TEXT,
    turns INTEGER NOT NULL, last INTEGER NOT NULL, started INTEGER, at INTEGER, end TEXT, retried INTEGER NOT NULL,
    UNIQUE(correlation, hash));
  CREATE INDEX tasks_last ON tasks(last);
  CREATE INDEX tasks_live ON tasks(program) WHERE end IS NULL;
  CREATE TABLE calls(
    task INTEGER NOT NULL, name TEXT NOT NULL, target INTEGER NOT NULL, answered INTEGER NOT NULL,
    PRIMARY KEY(task, name)) WITHOUT ROWID;
  CREATE TABLE failures(task INTEGER PRIMARY KEY, pos INTEGER NOT NULL, at INTEGER NOT NULL);
  CREATE INDEX failures_at ON failures(at, task);
  CREATE TABLE events(
    pos INTEGER PRIMARY KEY, correlation INTEGER NOT NULL, task INTEGER, name TEXT NOT NULL, type INTEGER NOT NULL,
    time INTEGER NOT NULL);
  CREATE INDEX events_place ON events(correlation, task, name);
  CREATE INDEX events_outside ON events(name) WHERE task IS NULL;
  CREATE VIRTUAL TABLE words USING fts5(
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');
`
const tables = ['state', 'names', 'correlations', 'tasks', 'calls', 'failures', 'events', 'words']

/** Of the tables and of what is put into them. Another one is built anew. */
const indexVersion = 3

/** Longest wait for another process that writes, in ms: one batch. */
const patienceMs = 60_000

/** A prepared statement with the shape of its rows. */
export interface Statement<R> {
  get(...values: Value[]): R | undefined
  all(...values: Value[]): R[]
  iterate(...values: Value[]): Iterable<R>
  run(...values: Value[]): unknown
}
export type Value = string | number | null

export const prepare = <R>(db: DatabaseSync, sql: string) => db.prepare(sql) as unknown as Statement<R>

/** Opens the file, or makes it, with the tables of this version. */
export function openTables(file: string): DatabaseSync {
  if (file !== inMemory) {
    makePrivateFolder(dirname(file))
    makePrivateFile(file)
  }
  const db = new DatabaseSync(file, { timeout: patienceMs })
  try {
    db.exec('PRAGMA page_size = 8192; PRAGMA cache_size = -65536; PRAGMA journal_mode = TRUNCATE')
    if (versionOf(db) !== indexVersion)
      transact(db, () => {
        if (versionOf(db) !== indexVersion) makeTables(db)
      })
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Within a transaction: drops what is there. */
export function makeTables(db: DatabaseSync): void {
  for (const table of tables) db.exec(`DROP TABLE IF EXISTS ${table}`)
  db.exec(`${ddl}; PRAGMA user_version = ${indexVersion}`)
}

const versionOf = (db: DatabaseSync) => prepare<{ user_version: number }>(db, 'PRAGMA user_version').get()!.user_version

/** What is written when the process dies in the middle is taken back by whoever opens the file next. */
export function transact<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const done = work()
    db.exec('COMMIT')
    return done
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

export const inMemory = ':memory:'

/** Throws the file away. */
export function removeFile(file: string): void {
  for (const suffix of ['', '-journal']) rmSync(file + suffix, { force: true })
}

// Source: sqlite.org/rescode.html
const corrupt = [11, 26]

/** Whether an error says that the file is no sound database. */
export const isCorrupt = (error: unknown) => corrupt.includes(((error as { errcode?: number }).errcode ?? 0) & 0xff)

/** An error of SQLite or of the file system as one that says where the index lies; others as they are. */
export function indexError(error: unknown, file: string): unknown {
  const { errcode, syscall } = error as { errcode?: number; syscall?: string }
  if (file === inMemory || (errcode === undefined && syscall === undefined)) return error
  return new TidingsError('E_INDEX_UNAVAILABLE', `the index in ${file} cannot be used: ${textOf(error)}`, {
    cause: error,
  })
}
