import { TimeSearch } from '../../../bus/search-by-time.ts'
import { parseId } from '../../../bus/ids.ts'
import { retentionHorizon, type RetentionHorizon } from '../../shared/retention.ts'
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
    const young = this.#firstPositionSince(cutoff)
    const task = this.#oldestTask.get()
    const { horizon, heldBy } = retentionHorizon({
      head: this.#store.head,
      young,
      maxLag,
      tasks: task?.task ? [{ offset: task.pos, heldBy: `task ${task.task}` }] : [],
      groups: this.#groups.all().map(({ name, next }) => ({ offset: next, heldBy: `group ${name}` })),
    })
    const claims = this.#groupsWithClaims.all(young)
    const reports = claims.map(({ grp }) => `group ${grp} has older events in flight, which are kept`)
    return { horizon, heldBy: [heldBy, ...reports].join('; ') }
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
    const search = new TimeSearch({ first: 1, head: this.#store.head, cutoff })
    for (let probe; (probe = search.probe) !== undefined; ) {
      const row = this.#firstWithTime.get(probe)
      search.answer(row && { offset: row.pos, time: Date.parse(row.time) })
    }
    return search.offset
  }
}
