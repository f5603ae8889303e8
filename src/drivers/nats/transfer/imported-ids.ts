import { DatabaseSync } from 'node:sqlite'
import { prepareSql } from '../../../bus/sql.ts'

/** Where a task is read from: what a turn says of the turns before it. */
export interface TurnChain {
  readonly origin: number
  readonly snapshotAt: number
}

/** What is on the log already, in a database that is deleted when it is closed. */
export class ImportedIds {
  readonly #db = new DatabaseSync('')
  readonly #offset
  readonly #add
  readonly #chain
  readonly #setChain

  constructor() {
    this.#db.exec(`
      CREATE TABLE ids(id TEXT PRIMARY KEY, offset INTEGER) WITHOUT ROWID;
      CREATE TABLE chains(task TEXT PRIMARY KEY, origin INTEGER, snapshotAt INTEGER) WITHOUT ROWID;
      BEGIN`)
    this.#offset = prepareSql<{ offset: number }>(this.#db, 'SELECT offset FROM ids WHERE id = ?')
    this.#add = prepareSql(this.#db, 'INSERT OR IGNORE INTO ids VALUES (?, ?)')
    this.#chain = prepareSql<TurnChain>(this.#db, 'SELECT origin, snapshotAt FROM chains WHERE task = ?')
    this.#setChain = prepareSql(this.#db, 'INSERT OR REPLACE INTO chains VALUES (?, ?, ?)')
  }

  offsetOf(id: string): number | undefined {
    return this.#offset.get(id)?.offset
  }

  add(id: string, offset: number): void {
    this.#add.run(id, offset)
  }

  chainOf(task: string): TurnChain | undefined {
    return this.#chain.get(task)
  }

  setChain(task: string, { origin, snapshotAt }: TurnChain): void {
    this.#setChain.run(task, origin, snapshotAt)
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}
