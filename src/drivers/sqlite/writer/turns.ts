import { correlationOf, turnId } from '../../../bus/ids.ts'
import type { WireFaults } from '../faults.ts'
import type { Op, Settlement } from '../protocol.ts'
import { prepare } from '../schema.ts'
import type { Store } from './store.ts'

export type CommitOp = Extract<Op, [kind: 'commit', ...unknown[]]>

/** The fence of tasks: a turn is accepted at one version only, and not from who lost the shard of what it settles. */
export class Turns {
  readonly #store: Store
  readonly #faults: WireFaults
  readonly #areLost: (settlements: readonly Settlement[]) => boolean
  readonly #live
  readonly #seal
  readonly #start
  readonly #wake
  readonly #keepFrom
  readonly #finish
  readonly #snapshot
  readonly #dropSnapshot

  constructor(store: Store, faults: WireFaults, areLost: (settlements: readonly Settlement[]) => boolean) {
    this.#store = store
    this.#faults = faults
    this.#areLost = areLost
    const { db } = store
    this.#live = prepare(db, 'SELECT 1 FROM live WHERE task = ?')
    this.#seal = prepare(db, 'SELECT 1 FROM seals WHERE task = ?')
    this.#start = prepare(db, 'INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?)')
    this.#wake = prepare(db, 'UPDATE live SET wake = ?1 WHERE task = ?2 AND wake IS NOT ?1')
    this.#keepFrom = prepare(db, 'UPDATE live SET pos = ? WHERE task = ?')
    this.#finish = prepare(db, 'DELETE FROM live WHERE task = ?')
    this.#snapshot = prepare(db, 'INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)')
    this.#dropSnapshot = prepare(db, 'DELETE FROM snapshots WHERE task = ?')
  }

  /**
   * The turns on the log say where a task is. One that is not live takes its first turn only, and that only if it has
   * left no trace: neither the turn nor the seal that the janitor left when it purged it.
   */
  accepts([, , task, expect, , , , settlements, rows]: CommitOp): boolean {
    if (this.#faults.dropFence) return true
    if (this.#areLost(settlements)) return false
    if (this.#store.find(rows[0] as string) !== 0) return false
    if (this.#live.get(task)) return this.#store.find(turnId(task, expect)) !== 0
    return expect === 0 && !this.#seal.get(task)
  }

  /**
   * Records the head of the task, whose turn lies at `pos` now; returns whether its wake-up changed. A snapshot ends the need
   * for the turns before it.
   */
  record([, group, task, expect, wake, snapshot, end]: CommitOp, pos: number): boolean {
    if (end) {
      this.#dropSnapshot.run(task)
      return this.#finish.run(task).changes !== 0
    }
    if (expect === 0) this.#start.run(task, group, this.#store.shardOf(correlationOf(task)), pos, wake)
    const changed = expect === 0 || this.#wake.run(wake, task).changes !== 0
    if (snapshot === undefined) return changed
    this.#snapshot.run(task, expect + 1, snapshot)
    this.#keepFrom.run(pos, task)
    return changed
  }

  /** Sets the wake-up of a task whose newest turn is at `version`, and nothing where it went on since; whether it was set. */
  rearm(task: string, version: number, wake: number): boolean {
    return this.#store.find(turnId(task, version + 1)) === 0 && this.#wake.run(wake, task).changes !== 0
  }
}
