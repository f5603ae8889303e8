import type { DatabaseSync } from 'node:sqlite'
import type { Position } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { prepareSql } from '../../bus/sql.ts'
import { unpack } from './packed.ts'

const maxCalls = 500

/** Calls of a task that have no answer yet, oldest first. */
export function openCalls(db: DatabaseSync, task: string): Position[] {
  return prepareSql<{ pos: number }>(
    db,
    `SELECT e.pos FROM correlations c JOIN tasks t ON t.correlation = c.key JOIN calls o ON o.task = t.key
      JOIN events e ON e.correlation = c.key AND e.task = t.key AND e.name = o.name
    WHERE c.id = ? AND t.hash = ? AND t.end IS NULL AND NOT o.answered ORDER BY o.name LIMIT ${maxCalls}`,
  )
    .all(correlationOf(task), task.slice(37))
    .map(({ pos }) => unpack(pos))
}

/** The oldest open call to a tool, model or agent, by the type of the request and its target. */
export interface OldestCall {
  readonly type: string
  readonly target: string
  /** When it was made, ms since the epoch. */
  readonly since: number
}

export function oldestCalls(db: DatabaseSync, tenant: string): OldestCall[] {
  return prepareSql<OldestCall>(
    db,
    `SELECT y.name AS type, n.name AS target, min(e.time) AS since
    FROM calls o JOIN tasks t ON t.key = o.task JOIN events e ON e.correlation = t.correlation AND e.task = t.key AND e.name = o.name
      JOIN names n ON n.key = o.target JOIN names y ON y.key = e.type
    WHERE NOT o.answered AND t.end IS NULL AND t.tenant = (SELECT key FROM names WHERE name = ?) GROUP BY e.type, o.target`,
  ).all(tenant)
}
