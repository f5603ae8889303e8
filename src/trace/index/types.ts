import type { DatabaseSync } from 'node:sqlite'
import { prepareSql } from '../../bus/sql.ts'

/** The keys of the event types on the log that match. */
export function typeKeys(db: DatabaseSync, matches: (type: string) => boolean): number[] {
  // Skips from each type to the next one in the index of types.
  const types = prepareSql<{ key: number; name: string }>(
    db,
    `WITH RECURSIVE types(key) AS (SELECT min(type) FROM events UNION ALL
      SELECT (SELECT min(type) FROM events WHERE type > key) FROM types WHERE key IS NOT NULL)
    SELECT n.key, n.name FROM types t JOIN names n ON n.key = t.key`,
  )
  return types.all().flatMap(({ key, name }) => (matches(name) ? [key] : []))
}
