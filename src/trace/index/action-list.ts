import type { DatabaseSync } from 'node:sqlite'
import { prepareSql } from '../../bus/sql.ts'
import { Conditions, keyOfName, keysInJson } from './conditions.ts'
import { formatPlace, parsePlace } from './list-place.ts'
import { unpack } from './packed.ts'
import type { ActionFilter, ActionRow, ListOf } from './rows.ts'
import { typeKeys } from './types.ts'

const ofOperators = /^(control|operation)\./

interface CorrelationRow extends Omit<ActionRow, 'first'> {
  readonly first: number
  readonly last: number
}

/** Correlations, most recently active first, without those that commands of operators began. */
export function listActions(
  db: DatabaseSync,
  filter: ActionFilter & { correlations?: readonly string[] },
): ListOf<ActionRow> {
  const { reader, correlations, since, before, limit } = filter
  const { at, last } = parsePlace(before)
  const types = typeKeys(db, type => !ofOperators.test(type) && (reader?.mayRead(type) ?? true))
  const only = new Conditions()
    .only('c.at <= ? AND (c.at < ? OR c.last < ?)', at, at, last)
    .only(`+e.type IN ${keysInJson}`, JSON.stringify(types))
    .only('c.at >= ?', since)
    .only(`c.tenant = ${keyOfName}`, reader?.tenant)
    .only(`c.id IN ${keysInJson}`, correlations && JSON.stringify(correlations))
  const rows = prepareSql<CorrelationRow>(
    db,
    `SELECT c.id AS correlation, c.first, c.events, c.failedCalls, c.tokens, c.cost, c.at, c.last,
      (SELECT count(*) FROM tasks t WHERE t.correlation = c.key AND t.turns > 0) AS tasks,
      (SELECT count(*) FROM tasks t WHERE t.correlation = c.key AND t.turns > 0 AND t.end IS NULL) AS live,
      (SELECT count(*) FROM tasks t WHERE t.correlation = c.key AND t.end = 'failed' AND NOT t.retried) AS failed
    FROM correlations c JOIN events e ON e.pos = c.first
    WHERE ${only.sql} ORDER BY c.at DESC, c.last DESC LIMIT ?`,
  ).all(...only.values, limit)
  return {
    rows: rows.map(({ last: _last, ...row }) => ({ ...row, first: unpack(row.first) })),
    ...(rows.length === limit && rows.length > 0 && { next: formatPlace(rows.at(-1)!) }),
  }
}
