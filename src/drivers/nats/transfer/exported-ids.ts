import { DatabaseSync } from 'node:sqlite'
import type { Position } from '../../../bus/driver.ts'
import { prepareSql } from '../../../bus/sql.ts'

/** The newest turn of a task, and whether its first one is on the log. */
export interface NewestTurn {
  readonly task: string
  readonly version: number
  readonly seq: number
  readonly hasFirst: boolean
}

interface UnpublishedRow {
  readonly id: string
  readonly json: string
  readonly isOwn: number
}

/** What an export must remember of each event, in a database that is deleted when it is closed. */
export class ExportedIds {
  // Without a name it is a temporary file.
  readonly #db = new DatabaseSync('')
  readonly #addTurn
  readonly #newest
  readonly #addSeen
  readonly #seenAt
  readonly #addUnpublished
  readonly #removeUnpublished

  constructor() {
    this.#db.exec(`
      CREATE TABLE newest(task TEXT PRIMARY KEY, version INTEGER, seq INTEGER, hasFirst INTEGER) WITHOUT ROWID;
      CREATE TABLE seen(id TEXT PRIMARY KEY, partition INTEGER, offset INTEGER) WITHOUT ROWID;
      CREATE TABLE unpublished(id TEXT PRIMARY KEY, json TEXT, isOwn INTEGER) WITHOUT ROWID;
      BEGIN`)
    this.#addTurn = prepareSql(
      this.#db,
      `INSERT INTO newest VALUES (?, ?, ?, ?) ON CONFLICT(task) DO UPDATE SET version = excluded.version, seq = excluded.seq`,
    )
    this.#newest = prepareSql<{ version: number; seq: number }>(this.#db, 'SELECT * FROM newest WHERE task = ?')
    this.#addSeen = prepareSql(this.#db, 'INSERT OR IGNORE INTO seen VALUES (?, ?, ?)')
    this.#seenAt = prepareSql<Position>(this.#db, 'SELECT partition, offset FROM seen WHERE id = ?')
    this.#addUnpublished = prepareSql(this.#db, 'INSERT OR IGNORE INTO unpublished VALUES (?, ?, ?)')
    this.#removeUnpublished = prepareSql<{ isOwn: number }>(
      this.#db,
      'DELETE FROM unpublished WHERE id = ? RETURNING isOwn',
    )
  }

  /** In the order of the log. */
  addTurn(task: string, version: number, seq: number): void {
    this.#addTurn.run(task, version, seq, version === 1 ? 1 : 0)
  }

  newestOf(task: string): { readonly version: number; readonly seq: number } {
    return this.#newest.get(task)!
  }

  *newest(): Generator<NewestTurn> {
    for (const row of prepareSql<NewestTurn>(this.#db, 'SELECT * FROM newest ORDER BY task').iterate())
      yield { ...row, hasFirst: Boolean(row.hasFirst) }
  }

  /** False if the id was seen before. */
  addSeen(id: string, { partition, offset }: Position): boolean {
    return Number(this.#addSeen.run(id, partition, offset).changes) > 0
  }

  /** Where the first event with this id is. */
  seenAt(id: string): Position | undefined {
    return this.#seenAt.get(id)
  }

  /** A turn emitted it, and it was not read yet. `isOwn`: it is exported with the turn. */
  addEmitted(id: string, json: string, isOwn: boolean): void {
    if (!this.seenAt(id)) this.#addUnpublished.run(id, json, isOwn ? 1 : 0)
  }

  /** An event was read. Whether it is exported with a turn. */
  published(id: string): boolean {
    return this.#removeUnpublished.get(id)?.isOwn === 1
  }

  /** What turns emitted and is not on the log, because their writer died. */
  unpublished(): readonly UnpublishedRow[] {
    return prepareSql<UnpublishedRow>(this.#db, 'SELECT * FROM unpublished ORDER BY id').all()
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}
