import type { DatabaseSync } from 'node:sqlite'
import { correlationOf } from '../../bus/ids.ts'
import { prepareSql } from '../../bus/sql.ts'
import { unpack } from './packed.ts'
import type { TurnPlaces } from './rows.ts'

const nameOf = (version: number) => String(version).padStart(7, '0')

/** The turns of a task after a version, oldest first, or the last ones, and what they emitted and got as answers. */
export function turnPlaces(
  db: DatabaseSync,
  task: string,
  page: { readonly after: number; readonly limit: number } | { readonly last: number },
): TurnPlaces {
  const places = (condition: string, ...values: (string | number)[]) =>
    prepareSql<{ pos: number; name: string }>(
      db,
      `SELECT e.pos, e.name FROM correlations c JOIN tasks t ON t.correlation = c.key
      JOIN events e ON e.correlation = c.key AND e.task = t.key WHERE c.id = ? AND t.hash = ? AND ${condition}`,
    ).all(correlationOf(task), task.slice(37), ...values)
  const turns =
    'last' in page
      ? places('length(e.name) = 7 ORDER BY e.name DESC LIMIT ?', page.last).toReversed()
      : places('length(e.name) = 7 AND e.name > ? ORDER BY e.name LIMIT ?', nameOf(page.after), page.limit)
  if (turns.length === 0) return { turns: [], emitted: [] }
  // A colon, with which the name of what a turn emitted goes on, comes before a semicolon.
  const range = [turns[0]!.name, `${turns.at(-1)!.name};`]
  const emitted = places('e.name > ? AND e.name < ? AND length(e.name) > 7 ORDER BY e.pos', ...range)
  return { turns: turns.map(({ pos }) => unpack(pos)), emitted: emitted.map(({ pos }) => unpack(pos)) }
}
