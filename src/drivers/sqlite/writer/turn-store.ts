import type { DatabaseSync } from 'node:sqlite'
import { correlationOf, turnId } from '../../../bus/ids.ts'
import { sqlFor } from '../../../bus/sql.ts'
import type { CommitOp } from '../protocol.ts'
import type { LogStore } from './log-store.ts'

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    isLive: sql('SELECT 1 FROM live WHERE task = ?'),
    isSealed: sql('SELECT 1 FROM seals WHERE task = ?'),
    start: sql('INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?)'),
    setWake: sql('UPDATE live SET wake = ?1 WHERE task = ?2 AND wake IS NOT ?1'),
    setOldestNeeded: sql('UPDATE live SET pos = ? WHERE task = ?'),
    finish: sql('DELETE FROM live WHERE task = ?'),
    saveSnapshot: sql('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)'),
    deleteSnapshot: sql('DELETE FROM snapshots WHERE task = ?'),
  }
}

/** The tasks of the log, and the fence that accepts one turn for each version of a task. */
export class TurnStore {
  readonly #store: LogStore
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(store: LogStore) {
    this.#store = store
    this.#sql = statementsFor(store.db)
  }

  /**
   * Whether the task is at the version that the turn expects. A task that is not live accepts only its first turn, and only if
   * neither that turn nor the seal that replaces a purged one exists.
   */
  accepts({ task, expect, events }: CommitOp): boolean {
    if (this.#store.positionOf(events[0]!.id) !== 0) return false
    if (this.#sql.isLive.get(task)) return this.#store.positionOf(turnId(task, expect)) !== 0
    return expect === 0 && !this.#sql.isSealed.get(task)
  }

  /** Records the turn that is stored at `pos`. Returns whether the wake-up of the task changed. */
  record({ group, task, expect, wake, snapshot, end }: CommitOp, pos: number): boolean {
    if (end) {
      this.#sql.deleteSnapshot.run(task)
      return this.#sql.finish.run(task).changes !== 0
    }
    if (expect === 0) this.#sql.start.run(task, group, this.#store.shardOf(correlationOf(task)), pos, wake)
    const changed = expect === 0 || this.#sql.setWake.run(wake, task).changes !== 0
    if (snapshot === undefined) return changed
    this.#sql.saveSnapshot.run(task, expect + 1, snapshot)
    this.#sql.setOldestNeeded.run(pos, task)
    return changed
  }

  /** Sets the wake-up of a task unless it has a turn after `version`. Returns whether it was set. */
  restoreWake(task: string, version: number, wake: number): boolean {
    return this.#store.positionOf(turnId(task, version + 1)) === 0 && this.#sql.setWake.run(wake, task).changes !== 0
  }
}
