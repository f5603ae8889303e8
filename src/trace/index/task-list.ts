import type { DatabaseSync } from 'node:sqlite'
import { prepareSql } from '../../bus/sql.ts'
import { publisherOf } from '../publisher.ts'
import { Conditions, keyOfName, keysInJson } from './conditions.ts'
import { formatPlace, parsePlace } from './list-place.ts'
import { keysOf } from './packed.ts'
import type { ListOf, TaskFilter, TaskRow } from './rows.ts'
import { queryOf } from './words.ts'

/** How many of the newest events with a text are looked at for tasks, in each partition. */
const maxMatches = 5_000

interface Row extends Omit<TaskRow, 'waitsFor' | 'kind' | 'ended' | 'failedWith'> {
  readonly waitsFor: string
  readonly source: string
  readonly ended: number | null
  readonly failedWith: string | null
  readonly last: number
}

/** Tasks, most recently active first. */
export function listTasks(db: DatabaseSync, partitions: number, filter: TaskFilter): ListOf<TaskRow> {
  const { tenant, task, program, state, since, until, text, failedWith, before, limit } = filter
  const { at, last } = parsePlace(before)
  const given = text === undefined ? undefined : tasksWith(db, partitions, text)
  const only = new Conditions()
    .only('t.at <= ? AND (t.at < ? OR t.last < ?)', at, at, last)
    .only(`t.tenant = ${keyOfName}`, tenant)
    .only('c.id = ? AND t.hash = ?', task?.slice(0, 36), task?.slice(37))
    .only('p.name = ?', program)
    .only('state = ?', state)
    .only('t.at >= ?', since)
    .only('t.at <= ?', until)
    .only(`t.problem = ${keyOfName}`, failedWith)
    .only(`(t.key IN ${keysInJson} OR t.correlation IN ${keysInJson})`, given?.tasks, given?.correlations)
  const rows = prepareSql<Row>(
    db,
    `SELECT c.id || '.' || t.hash AS task, c.id AS correlation, p.name AS program, t.version, t.code AS hash, t.turns, t.started,
      t.at AS since, t.last, CASE WHEN t.end IS NULL THEN NULL ELSE t.at END AS ended, t.tokens, t.cost,
      (SELECT name FROM names WHERE key = t.tenant) AS tenant, (SELECT name FROM names WHERE key = t.problem) AS failedWith,
      (SELECT s.name FROM events e JOIN names s ON s.key = e.source WHERE e.correlation = t.correlation AND e.task = t.key
        ORDER BY e.name LIMIT 1) AS source,
      coalesce(t.end, CASE WHEN EXISTS (SELECT 1 FROM calls o WHERE o.task = t.key) AND NOT EXISTS
        (SELECT 1 FROM calls o WHERE o.task = t.key AND o.answered) THEN 'waiting' ELSE 'running' END) AS state,
      (SELECT json_group_array(n.name ORDER BY o.name) FROM calls o JOIN names n ON n.key = o.target
        WHERE o.task = t.key AND NOT o.answered) AS waitsFor
    FROM tasks t JOIN correlations c ON c.key = t.correlation JOIN names p ON p.key = t.program
    WHERE ${only.sql}
    ORDER BY t.at DESC, t.last DESC LIMIT ?`,
  ).all(...only.values, limit)
  return {
    rows: rows.map(({ last: _last, waitsFor, source, ended, failedWith: code, ...row }) => ({
      ...row,
      kind: publisherOf(source).kind === 'workflow' ? 'workflow' : 'agent',
      waitsFor: JSON.parse(waitsFor) as string[],
      ...(ended !== null && { ended }),
      ...(code !== null && { failedWith: code }),
    })),
    ...(rows.length === limit &&
      rows.length > 0 && { next: formatPlace({ at: rows.at(-1)!.since, last: rows.at(-1)!.last }) }),
  }
}

/** Keys, as JSON, of the tasks with these words in an event of theirs, and of the correlations with them in an event from outside. */
function tasksWith(db: DatabaseSync, partitions: number, text: string) {
  const found = prepareSql<{ task: number | null; correlation: number }>(
    db,
    `SELECT e.task, e.correlation FROM words w CROSS JOIN events e ON e.pos = w.rowid
    WHERE w.rowid BETWEEN ? AND ? AND w.words MATCH ? ORDER BY w.rowid DESC LIMIT ${maxMatches}`,
  )
  const query = queryOf(text)
  const matches = Array.from({ length: partitions }, (_, n) => found.all(keysOf(n).low, keysOf(n).high, query)).flat()
  const outside = matches.filter(({ task }) => task === null)
  return {
    tasks: JSON.stringify([...new Set(matches.map(({ task }) => task))]),
    correlations: JSON.stringify([...new Set(outside.map(({ correlation }) => correlation))]),
  }
}
