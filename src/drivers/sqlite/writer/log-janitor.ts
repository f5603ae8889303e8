import { parseId } from '../../../bus/ids.ts'
import type { RetentionHorizon } from '../protocol.ts'
import { prepareSql } from '../schema.ts'
import type { LogStore } from './log-store.ts'

const purgeChunk = 1_000

/** Purges events that no live task, no group and no deferred delivery needs. */
export class LogJanitor {
  readonly #store: LogStore
  readonly #firstWithTime
  readonly #oldestTask
  readonly #groups
  readonly #groupsWithClaims
  readonly #seal
  readonly #deleteOldSeals
  readonly #purge
  readonly #saveHead

  constructor(store: LogStore) {
    this.#store = store
    const { db } = store
    this.#firstWithTime = prepareSql<{ pos: number; time: string }>(
      db,
      // A malformed row has no time.
      `SELECT pos, time FROM (
        SELECT pos, CASE WHEN json_valid(event) THEN event ->> '$.time' END AS time FROM log WHERE pos >= ? ORDER BY pos)
      WHERE time IS NOT NULL LIMIT 1`,
    )
    this.#oldestTask = prepareSql<{ task: string; pos: number }>(db, 'SELECT task, min(pos) AS pos FROM live')
    this.#groups = prepareSql<{ name: string; next: number }>(
      db,
      `SELECT name, CASE mode WHEN 'shared' THEN next
      ELSE ifnull((SELECT min(l.next) FROM leases l WHERE l.grp = name), next) END AS next FROM groups`,
    )
    this.#groupsWithClaims = prepareSql<{ grp: string }>(db, 'SELECT DISTINCT grp FROM claims WHERE pos < ?')
    this.#seal = prepareSql(db, 'INSERT OR REPLACE INTO seals VALUES (?, ?)')
    this.#deleteOldSeals = prepareSql(db, 'DELETE FROM seals WHERE at < ?')
    this.#purge = prepareSql<{ id: string }>(
      db,
      `DELETE FROM log WHERE pos IN (SELECT pos FROM log WHERE pos < ?
      AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.pos = log.pos)
      AND NOT EXISTS (SELECT 1 FROM aside a WHERE a.pos = log.pos) ORDER BY pos LIMIT ${purgeChunk}) RETURNING id`,
    )
    this.#saveHead = prepareSql(db, `UPDATE meta SET value = ? WHERE key = 'head'`)
  }

  horizon(cutoff: number, maxLag: number): RetentionHorizon {
    this.#deleteOldSeals.run(cutoff)
    const age = this.#firstPositionSince(cutoff)
    const holders = [{ pos: age, heldBy: 'age' }]
    const task = this.#oldestTask.get()
    if (task?.task) holders.push({ pos: task.pos, heldBy: `task ${task.task}` })
    const reports: string[] = []
    for (const { name, next } of this.#groups.all()) {
      const lag = this.#store.head + 1 - next
      if (lag <= maxLag) holders.push({ pos: next, heldBy: `group ${name}` })
      else if (next < age) reports.push(`group ${name} no longer holds the log back: it is ${lag} events behind`)
    }
    for (const { grp } of this.#groupsWithClaims.all(age))
      reports.push(`group ${grp} has older events in flight, which are kept`)
    const { pos, heldBy } = holders.reduce((first, second) => (second.pos < first.pos ? second : first))
    return { horizon: pos, heldBy: [heldBy, ...reports].join('; ') }
  }

  /** Deletes one chunk below the horizon. Returns the number of events. */
  purge(horizon: number, now: number): number {
    this.#saveHead.run(this.#store.head)
    const purged = this.#purge.all(horizon)
    for (const { id } of purged) {
      const turn = parseId(id)
      if (turn?.version === 1 && turn.ordinal === undefined) this.#seal.run(turn.task, now)
    }
    return purged.length
  }

  /** The first position whose event is not older than the cutoff. Times follow positions closely enough for a binary search. */
  #firstPositionSince(cutoff: number): number {
    let low = 1
    let high = this.#store.head + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = this.#firstWithTime.get(middle)
      if (row && Date.parse(row.time) < cutoff) low = row.pos + 1
      else high = middle
    }
    return low
  }
}
