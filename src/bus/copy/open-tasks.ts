import { DatabaseSync } from 'node:sqlite'
import { TidingsError } from '../../errors.ts'
import type { TurnRecord } from '../driver.ts'
import { prepareSql } from '../sql.ts'

/** Finds open tasks that cannot continue from what is copied, because turns that they need were purged. */
export class OpenTasks {
  // Without a name it is a temporary file.
  readonly #db = new DatabaseSync('')
  readonly #get
  readonly #set
  readonly #remove

  constructor() {
    this.#db.exec('CREATE TABLE readable(task TEXT PRIMARY KEY, version INTEGER) WITHOUT ROWID; BEGIN')
    this.#get = prepareSql<{ version: number }>(this.#db, 'SELECT version FROM readable WHERE task = ?')
    this.#set = prepareSql(this.#db, 'INSERT OR REPLACE INTO readable VALUES (?, ?)')
    this.#remove = prepareSql(this.#db, 'DELETE FROM readable WHERE task = ?')
  }

  /** The next turn of a task. @throws E_COPY_REFUSED */
  see({ task, version, state, snapshot }: TurnRecord): void {
    const isReadable = version === 1 || snapshot !== undefined || this.#get.get(task)?.version === version - 1
    if (state === 'ended') this.#remove.run(task)
    else if (isReadable) this.#set.run(task, version)
    else if (state !== undefined) throw turnsMissing(task)
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}

/** An open task whose turns are not on the log. */
export const turnsMissing = (task: string): TidingsError =>
  new TidingsError('E_COPY_REFUSED', `task "${task}" has not ended, and turns that it needs are no longer on the log`, {
    next: 'It cannot continue, here or elsewhere. Start the workers on this log, cancel the task, and copy again.',
  })
