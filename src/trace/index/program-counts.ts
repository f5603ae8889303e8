import type { DatabaseSync } from 'node:sqlite'
import { prepareSql } from '../../bus/sql.ts'

/** Tasks of a program of a tenant. `failed`: those that were neither retried nor dismissed. */
export interface ProgramCounts {
  readonly running: number
  readonly waiting: number
  readonly failed: number
}

export function countTasks(db: DatabaseSync, program: string, tenant: string): ProgramCounts {
  const [live] = prepareSql<{ live: number; waiting: number }>(
    db,
    `SELECT count(*) AS live, count(*) FILTER (WHERE EXISTS (SELECT 1 FROM calls o WHERE o.task = t.key)
      AND NOT EXISTS (SELECT 1 FROM calls o WHERE o.task = t.key AND o.answered)) AS waiting
    FROM tasks t WHERE t.end IS NULL AND t.program = (SELECT key FROM names WHERE name = ?)
      AND t.tenant = (SELECT key FROM names WHERE name = ?)`,
  ).all(program, tenant)
  const [failures] = prepareSql<{ failed: number }>(
    db,
    `SELECT count(*) AS failed FROM failures f JOIN tasks t ON t.key = f.task
    WHERE t.program = (SELECT key FROM names WHERE name = ?) AND t.tenant = (SELECT key FROM names WHERE name = ?)`,
  ).all(program, tenant)
  return { running: live!.live - live!.waiting, waiting: live!.waiting, failed: failures!.failed }
}
