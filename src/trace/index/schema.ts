import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makePrivateFile, makePrivateFolder } from '../../bus/private-files.ts'
import { prepareSql } from '../../bus/sql.ts'
import { textOf, TidingsError } from '../../errors.ts'

/*
 * The tables of the index, a projection of the log that may be deleted at any time. It contains no events.
 *
 * state         cursor up to which the log was read, and the newest event of each partition, which identify the log
 * names         types, programs, targets, sources, tenants, users, models and error codes, each stored once
 * correlations  tenant of the first event, first and last position, time of the last event, number of events and of failed
 *               tapped calls, model usage
 * tasks         as of the newest turn; without a program if no turn was read; `retried` once the retry has begun; model usage, and the code
 *               of its failure
 * calls         open calls of live tasks
 * failures      failed tasks that were neither retried nor dismissed, with the position of the failure
 * events        `name`: the part of a generated id after the task, else the whole id
 * words         full text by position, without the text itself
 * usage         answers of models, by hour, tenant, program, model and correlation
 *
 * Lists across correlations are in the order of time, newest first; among equal times the higher position is first. Positions alone have no
 * order across partitions, and the order of reading would differ in an index that is rebuilt.
 */
const ddl = `
  CREATE TABLE state(cursor TEXT NOT NULL, newest TEXT NOT NULL);
  INSERT INTO state VALUES ('0', '[]');
  CREATE TABLE names(key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE correlations(
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tenant INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    at INTEGER NOT NULL, events INTEGER NOT NULL, failedCalls INTEGER NOT NULL, tokens INTEGER NOT NULL, cost REAL NOT NULL);
  CREATE INDEX correlations_at ON correlations(at);
  CREATE INDEX correlations_tenant ON correlations(tenant, at);
  CREATE TABLE tasks(
    key INTEGER PRIMARY KEY, correlation INTEGER NOT NULL, hash TEXT NOT NULL, program INTEGER, version INTEGER, code TEXT,
    turns INTEGER NOT NULL, last INTEGER NOT NULL, started INTEGER, at INTEGER, end TEXT, retried INTEGER NOT NULL,
    tenant INTEGER NOT NULL, tokens INTEGER NOT NULL, cost REAL NOT NULL, problem INTEGER, UNIQUE(correlation, hash));
  CREATE INDEX tasks_at ON tasks(at);
  CREATE INDEX tasks_tenant ON tasks(tenant, at);
  CREATE INDEX tasks_live ON tasks(program) WHERE end IS NULL;
  CREATE TABLE calls(
    task INTEGER NOT NULL, name TEXT NOT NULL, target INTEGER NOT NULL, answered INTEGER NOT NULL,
    PRIMARY KEY(task, name)) WITHOUT ROWID;
  CREATE TABLE failures(task INTEGER PRIMARY KEY, pos INTEGER NOT NULL, at INTEGER NOT NULL);
  CREATE INDEX failures_at ON failures(at, task);
  CREATE TABLE events(
    pos INTEGER PRIMARY KEY, correlation INTEGER NOT NULL, task INTEGER, name TEXT NOT NULL, type INTEGER NOT NULL,
    time INTEGER NOT NULL, tenant INTEGER NOT NULL, user INTEGER, source INTEGER NOT NULL);
  CREATE INDEX events_place ON events(correlation, task, name);
  CREATE INDEX events_outside ON events(name) WHERE task IS NULL;
  CREATE INDEX events_type ON events(type);
  CREATE INDEX events_tenant ON events(tenant);
  CREATE INDEX events_user ON events(user) WHERE user IS NOT NULL;
  CREATE TABLE usage(
    hour INTEGER NOT NULL, tenant INTEGER NOT NULL, program INTEGER NOT NULL, model INTEGER NOT NULL, correlation INTEGER NOT NULL,
    calls INTEGER NOT NULL, failed INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cached INTEGER NOT NULL,
    reasoning INTEGER NOT NULL, cost REAL NOT NULL, PRIMARY KEY(hour, tenant, program, model, correlation)) WITHOUT ROWID;
  CREATE INDEX usage_correlation ON usage(correlation);
  CREATE VIRTUAL TABLE words USING fts5(
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');
`
const tables = ['state', 'names', 'correlations', 'tasks', 'calls', 'failures', 'events', 'words', 'usage']

/** Version of the tables and their content. An index of another version is rebuilt. */
const indexVersion = 6

/** Maximum wait for another writer, in ms. A writer holds the lock for one batch. */
const busyTimeoutMs = 60_000

/** `timeout`: how long it waits for another writer, in ms. */
export function openTables(file: string, timeout = busyTimeoutMs): DatabaseSync {
  if (file !== inMemory) {
    makePrivateFolder(dirname(file))
    makePrivateFile(file)
  }
  const db = new DatabaseSync(file, { timeout })
  try {
    db.exec(
      'PRAGMA page_size = 8192; PRAGMA cache_size = -65536; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL',
    )
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

/** Drops and creates all tables. Call it within a transaction. */
export function makeTables(db: DatabaseSync): void {
  for (const table of tables) db.exec(`DROP TABLE IF EXISTS ${table}`)
  db.exec(`${ddl}; PRAGMA user_version = ${indexVersion}`)
}

const versionOf = (db: DatabaseSync) =>
  prepareSql<{ user_version: number }>(db, 'PRAGMA user_version').get()!.user_version

/** If the process dies in the middle, the next process that opens the file rolls the transaction back. */
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

export function removeFile(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
}

// Source: sqlite.org/rescode.html
const corruptCodes = [11, 26]
const busyCode = 5

/** Whether an error means that the file is not a valid database. */
export const isCorrupt = (error: unknown) => corruptCodes.includes(primaryCode(error))

/** Whether another process was writing for longer than the timeout. */
export const isLocked = (error: unknown) => primaryCode(error) === busyCode

const primaryCode = (error: unknown) => ((error as { errcode?: number }).errcode ?? 0) & 0xff

/** Adds the path of the index to an error of SQLite or of the file system; returns other errors unchanged. */
export function indexError(error: unknown, file: string): unknown {
  const { errcode, syscall } = error as { errcode?: number; syscall?: string }
  if (file === inMemory || (errcode === undefined && syscall === undefined)) return error
  return new TidingsError(
    'E_INDEX_UNAVAILABLE',
    `cannot use the index "${file}": ${textOf(error)}; delete the file to rebuild it`,
    {
      cause: error,
    },
  )
}
