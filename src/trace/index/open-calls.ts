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
