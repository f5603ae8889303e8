import { correlationOf, turnId } from '../../../bus/ids.ts'
import type { CommitOp } from '../protocol.ts'
import { prepareSql } from '../schema.ts'
import type { LogStore } from './log-store.ts'

/** The tasks of the log, and the fence that accepts one turn for each version of a task. */
export class TurnStore {
  readonly #store: LogStore
  readonly #isLive
  readonly #isSealed
  readonly #start
  readonly #setWake
  readonly #setOldestNeeded
  readonly #finish
  readonly #saveSnapshot
  readonly #deleteSnapshot

  constructor(store: LogStore) {
    this.#store = store
    const { db } = store
    this.#isLive = prepareSql(db, 'SELECT 1 FROM live WHERE task = ?')
    this.#isSealed = prepareSql(db, 'SELECT 1 FROM seals WHERE task = ?')
    this.#start = prepareSql(db, 'INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?)')
    this.#setWake = prepareSql(db, 'UPDATE live SET wake = ?1 WHERE task = ?2 AND wake IS NOT ?1')
    this.#setOldestNeeded = prepareSql(db, 'UPDATE live SET pos = ? WHERE task = ?')
    this.#finish = prepareSql(db, 'DELETE FROM live WHERE task = ?')
    this.#saveSnapshot = prepareSql(db, 'INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)')
    this.#deleteSnapshot = prepareSql(db, 'DELETE FROM snapshots WHERE task = ?')
  }

  /**
   * Whether the task is at the version that the turn expects. A task that is not live accepts only its first turn, and only if
   * neither that turn nor the seal that replaces a purged one exists.
   */
  accepts({ task, expect, events }: CommitOp): boolean {
    if (this.#store.positionOf(events[0]!.id) !== 0) return false
    if (this.#isLive.get(task)) return this.#store.positionOf(turnId(task, expect)) !== 0
    return expect === 0 && !this.#isSealed.get(task)
  }

  /** Records the turn that is stored at `pos`. Returns whether the wake-up of the task changed. */
  record({ group, task, expect, wake, snapshot, end }: CommitOp, pos: number): boolean {
    if (end) {
      this.#deleteSnapshot.run(task)
      return this.#finish.run(task).changes !== 0
    }
    if (expect === 0) this.#start.run(task, group, this.#store.shardOf(correlationOf(task)), pos, wake)
    const changed = expect === 0 || this.#setWake.run(wake, task).changes !== 0
    if (snapshot === undefined) return changed
    this.#saveSnapshot.run(task, expect + 1, snapshot)
    this.#setOldestNeeded.run(pos, task)
    return changed
  }

  /** Sets the wake-up of a task unless it has a turn after `version`. Returns whether it was set. */
  restoreWake(task: string, version: number, wake: number): boolean {
    return this.#store.positionOf(turnId(task, version + 1)) === 0 && this.#setWake.run(wake, task).changes !== 0
  }
}
