import { correlationOf } from '../../../bus/ids.ts'
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
  readonly #head
  readonly #seal
  readonly #start
  readonly #advance
  readonly #finish
  readonly #snapshot
  readonly #dropSnapshot

  constructor(store: Store, faults: WireFaults, areLost: (settlements: readonly Settlement[]) => boolean) {
    this.#store = store
    this.#faults = faults
    this.#areLost = areLost
    const { db } = store
    this.#head = prepare<{ version: number; wake: number | null }>(db, 'SELECT version, wake FROM live WHERE task = ?')
    this.#seal = prepare(db, 'SELECT 1 FROM seals WHERE task = ?')
    this.#start = prepare(db, 'INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?, ?)')
    this.#advance = prepare(db, 'UPDATE live SET version = ?, wake = ?, pos = ifnull(?, pos) WHERE task = ?')
    this.#finish = prepare(db, 'DELETE FROM live WHERE task = ?')
    this.#snapshot = prepare(db, 'INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)')
    this.#dropSnapshot = prepare(db, 'DELETE FROM snapshots WHERE task = ?')
  }

  /**
   * A task that is not live takes its first turn only, and that only if it has left no trace: neither the turn on the
   * log nor the seal that the janitor left when it purged it.
   */
  accepts([, , task, expect, , , , settlements, rows]: CommitOp): boolean {
    if (this.#faults.dropFence) return true
    if (this.#areLost(settlements)) return false
    const live = this.#head.get(task)
    if (live) return live.version === expect
    return expect === 0 && this.#store.find(rows[0] as string) === 0 && !this.#seal.get(task)
  }

  /** Records the head of the task, whose turn lies at `pos` now. A snapshot ends the need for the turns before it. */
  record([, group, task, expect, wake, snapshot, end]: CommitOp, pos: number): void {
    const version = expect + 1
    if (end) {
      this.#finish.run(task)
      this.#dropSnapshot.run(task)
      return
    }
    const live = this.#head.get(task)
    const next = wake === undefined ? (live?.wake ?? null) : wake
    if (!live) this.#start.run(task, group, this.#store.shardOf(correlationOf(task)), pos, version, next)
    else this.#advance.run(version, next, snapshot === undefined ? null : pos, task)
    if (snapshot !== undefined) this.#snapshot.run(task, version, snapshot)
  }
}
