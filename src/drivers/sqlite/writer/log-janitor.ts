import type { DatabaseSync } from 'node:sqlite'
import { parseId } from '../../../bus/ids.ts'
import { TimeSearch } from '../../../bus/search-by-time.ts'
import { sqlFor } from '../../../bus/sql.ts'
import { retentionHorizon, type RetentionHorizon } from '../../shared/retention.ts'
import type { LogStore } from './log-store.ts'

const purgeChunk = 1_000

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    // A malformed row has no time.
    firstWithTime: sql<{ pos: number; time: string }>(`SELECT pos, time FROM (
        SELECT pos, CASE WHEN json_valid(event) THEN event ->> '$.time' END AS time FROM log WHERE pos >= ? ORDER BY pos)
      WHERE time IS NOT NULL LIMIT 1`),
    oldestTask: sql<{ task: string; pos: number }>('SELECT task, min(pos) AS pos FROM live'),
    groups: sql<{ name: string; next: number }>(`SELECT name, CASE mode WHEN 'shared' THEN next
      ELSE ifnull((SELECT min(l.next) FROM leases l WHERE l.grp = name), next) END AS next FROM groups`),
    groupsWithClaims: sql<{ grp: string }>('SELECT DISTINCT grp FROM claims WHERE pos < ?'),
    seal: sql('INSERT OR REPLACE INTO seals VALUES (?, ?)'),
    deleteOldSeals: sql('DELETE FROM seals WHERE at < ?'),
    purge: sql<{ id: string }>(`DELETE FROM log WHERE pos IN (SELECT pos FROM log WHERE pos < ?
      AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.pos = log.pos)
      AND NOT EXISTS (SELECT 1 FROM aside a WHERE a.pos = log.pos) ORDER BY pos LIMIT ${purgeChunk}) RETURNING id`),
    saveHead: sql(`UPDATE meta SET value = ? WHERE key = 'head'`),
    saveHorizon: sql(
      `INSERT INTO meta VALUES ('horizon', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)`,
    ),
  }
}

/** Purges events that no live task, no group and no deferred delivery needs. */
export class LogJanitor {
  readonly #store: LogStore
  readonly #sql: ReturnType<typeof statementsFor>

  constructor(store: LogStore) {
    this.#store = store
    this.#sql = statementsFor(store.db)
  }

  horizon(cutoff: number, maxLag: number): RetentionHorizon {
    this.#sql.deleteOldSeals.run(cutoff)
    const young = this.#firstPositionSince(cutoff)
    const task = this.#sql.oldestTask.get()
    const { horizon, heldBy } = retentionHorizon({
      head: this.#store.head,
      young,
      maxLag,
      tasks: task?.task ? [{ offset: task.pos, heldBy: `task ${task.task}` }] : [],
      groups: this.#sql.groups.all().map(({ name, next }) => ({ offset: next, heldBy: `group ${name}` })),
    })
    const claims = this.#sql.groupsWithClaims.all(young)
    const reports = claims.map(({ grp }) => `group ${grp} has older events in flight, which are kept`)
    return { horizon, heldBy: [heldBy, ...reports].join('; ') }
  }

  /** Deletes one chunk below the horizon. Returns the number of events. */
  purge(horizon: number, now: number): number {
    this.#sql.saveHead.run(this.#store.head)
    this.#sql.saveHorizon.run(horizon - 1)
    const purged = this.#sql.purge.all(horizon)
    for (const { id } of purged) {
      const turn = parseId(id)
      if (turn?.version === 1 && turn.ordinal === undefined) this.#sql.seal.run(turn.task, now)
    }
    return purged.length
  }

  /** The first position whose event is not older than the cutoff. Times follow positions closely enough for a binary search. */
  #firstPositionSince(cutoff: number): number {
    const search = new TimeSearch({ first: 1, head: this.#store.head, cutoff })
    for (let probe; (probe = search.probe) !== undefined; ) {
      const row = this.#sql.firstWithTime.get(probe)
      search.answer(row && { offset: row.pos, time: Date.parse(row.time) })
    }
    return search.offset
  }
}
