import { parseId } from '../../../bus/ids.ts'
import type { Horizon } from '../protocol.ts'
import { prepare } from '../schema.ts'
import type { Store } from './store.ts'

const chunk = 1_000

/** What may go from the log: nothing that a live task, a group or a delivery set aside still needs. */
export class Janitor {
  readonly #store: Store
  readonly #at
  readonly #oldestTask
  readonly #groups
  readonly #inHand
  readonly #seal
  readonly #unseal
  readonly #purge
  readonly #rememberHead

  constructor(store: Store) {
    this.#store = store
    const { db } = store
    this.#at = prepare<{ pos: number; time: string }>(
      db,
      // What is no event has no time.
      `SELECT pos, time FROM (
        SELECT pos, CASE WHEN json_valid(event) THEN event ->> '$.time' END AS time FROM log WHERE pos >= ? ORDER BY pos)
      WHERE time IS NOT NULL LIMIT 1`,
    )
    this.#oldestTask = prepare<{ task: string; pos: number }>(db, 'SELECT task, min(pos) AS pos FROM live')
    this.#groups = prepare<{ name: string; next: number }>(
      db,
      `SELECT name, CASE mode WHEN 'shared' THEN next
      ELSE ifnull((SELECT min(l.next) FROM leases l WHERE l.grp = name), next) END AS next FROM groups`,
    )
    this.#inHand = prepare<{ grp: string }>(db, 'SELECT DISTINCT grp FROM claims WHERE pos < ?')
    this.#seal = prepare(db, 'INSERT OR REPLACE INTO seals VALUES (?, ?)')
    this.#unseal = prepare(db, 'DELETE FROM seals WHERE at < ?')
    this.#purge = prepare<{ id: string }>(
      db,
      `DELETE FROM log WHERE pos IN (SELECT pos FROM log WHERE pos < ?
      AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.pos = log.pos)
      AND NOT EXISTS (SELECT 1 FROM aside a WHERE a.pos = log.pos) ORDER BY pos LIMIT ${chunk}) RETURNING id`,
    )
    this.#rememberHead = prepare(db, `UPDATE meta SET value = ? WHERE key = 'head'`)
  }

  horizon(cutoff: number, maxLag: number): Horizon {
    this.#unseal.run(cutoff)
    const age = this.#firstSince(cutoff)
    const holders = [{ pos: age, heldBy: 'age' }]
    const task = this.#oldestTask.get()
    if (task?.task) holders.push({ pos: task.pos, heldBy: `task ${task.task}` })
    const reports: string[] = []
    for (const { name, next } of this.#groups.all()) {
      const lag = this.#store.head + 1 - next
      if (lag <= maxLag) holders.push({ pos: next, heldBy: `group ${name}` })
      else if (next < age) reports.push(`group ${name} no longer holds the log back: it is ${lag} events behind`)
    }
    for (const { grp } of this.#inHand.all(age)) reports.push(`group ${grp} has older events in hand, which are kept`)
    const { pos, heldBy } = holders.reduce((first, second) => (second.pos < first.pos ? second : first))
    return { horizon: pos, heldBy: [heldBy, ...reports].join('; ') }
  }

  /** Deletes one chunk below the horizon and returns how many events that were. */
  purge(horizon: number, now: number): number {
    this.#rememberHead.run(this.#store.head)
    const purged = this.#purge.all(horizon)
    for (const { id } of purged) {
      const turn = parseId(id)
      if (turn?.version === 1 && turn.ordinal === undefined) this.#seal.run(turn.task, now)
    }
    return purged.length
  }

  /** First position whose event is not older: times follow positions closely enough for a binary search. */
  #firstSince(cutoff: number): number {
    let low = 1
    let high = this.#store.head + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = this.#at.get(middle)
      if (row && Date.parse(row.time) < cutoff) low = row.pos + 1
      else high = middle
    }
    return low
  }
}
