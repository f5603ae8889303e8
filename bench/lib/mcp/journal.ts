import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'

/**
 * The least that makes an agent durable: each step is a row on disk before the next one begins. Rows of one turn of the event loop share a commit.
 */
export class StepJournal {
  readonly #db: DatabaseSync
  readonly #waiting: { readonly task: string; readonly step: number; readonly done: () => void }[] = []

  constructor(home: string) {
    this.#db = new DatabaseSync(join(home, 'journal.sqlite'))
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000')
    this.#db.exec('CREATE TABLE steps (task TEXT, step INTEGER, output TEXT, PRIMARY KEY (task, step)) WITHOUT ROWID')
  }

  /** Resolves when the step is on disk. */
  record(task: string, step: number): Promise<void> {
    return new Promise(done => {
      if (this.#waiting.push({ task, step, done }) === 1) setImmediate(() => this.#commit())
    })
  }

  close() {
    this.#db.close()
  }

  #commit() {
    const rows = this.#waiting.splice(0)
    const insert = this.#db.prepare('INSERT INTO steps VALUES (?, ?, ?)')
    this.#db.exec('BEGIN IMMEDIATE')
    for (const { task, step } of rows) insert.run(task, step, output)
    this.#db.exec('COMMIT')
    for (const { done } of rows) done()
  }
}

const output = JSON.stringify({ q: 'x'.repeat(292) })
