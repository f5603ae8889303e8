import type { DatabaseSync } from 'node:sqlite'
import { prepareSql } from '../../bus/sql.ts'
import type { UsageFilter, UsageRow } from './rows.ts'

const hourMs = 3_600_000

interface Row extends Omit<UsageRow, 'tokens'> {
  readonly input: number
  readonly output: number
  readonly cached: number
  readonly reasoning: number
}

const columns = {
  tenant: '(SELECT name FROM names WHERE key = u.tenant)',
  program: '(SELECT name FROM names WHERE key = u.program)',
  model: '(SELECT name FROM names WHERE key = u.model)',
  hour: `u.hour * ${hourMs}`,
}

/** What calls to models cost, summed by the columns, the newest hour or the highest cost first. */
export function listUsage(db: DatabaseSync, { tenant, since = 0, until = Date.now(), by }: UsageFilter): UsageRow[] {
  const rows = prepareSql<Row>(
    db,
    `SELECT ${by.map(name => `${columns[name]} AS ${name}, `).join('')} sum(u.calls) AS calls, sum(u.failed) AS failed, sum(u.input) AS input,
      sum(u.output) AS output, sum(u.cached) AS cached, sum(u.reasoning) AS reasoning, sum(u.cost) AS cost
    FROM usage u WHERE u.hour BETWEEN ? AND ? AND (?3 IS NULL OR u.tenant = (SELECT key FROM names WHERE name = ?3))
    GROUP BY ${by.length === 0 ? 'NULL' : by.map(name => `u.${name}`).join(', ')}
    ORDER BY ${by.includes('hour') ? 'u.hour DESC, cost DESC' : 'cost DESC'}`,
  ).all(Math.floor(since / hourMs), Math.floor(until / hourMs), tenant ?? null)
  return rows.map(({ input, output, cached, reasoning, ...row }) => ({
    ...row,
    tokens: { input, output, cached, reasoning },
  }))
}
