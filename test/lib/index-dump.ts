import { DatabaseSync } from 'node:sqlite'

/** All that an index says, without the keys by which it says it, which depend on how it came about. */
export function dumpIndex(file: string): Record<string, unknown[]> {
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return Object.fromEntries(Object.entries(queries).map(([table, sql]) => [table, db.prepare(sql).all()]))
  } finally {
    db.close()
  }
}

const queries = {
  state: 'SELECT * FROM state',
  correlations: `SELECT c.id, n.name AS tenant, c.first, c.last, c.at, c.events, c.tokens, c.cost FROM correlations c
    JOIN names n ON n.key = c.tenant ORDER BY c.id`,
  tasks: `SELECT c.id, t.hash, p.name AS program, t.version, t.code, t.turns, t.last, t.started, t.at, t.end, w.name AS tenant, t.tokens,
    t.cost, f.name AS problem FROM tasks t JOIN correlations c ON c.key = t.correlation JOIN names w ON w.key = t.tenant
    LEFT JOIN names p ON p.key = t.program LEFT JOIN names f ON f.key = t.problem ORDER BY c.id, t.hash`,
  calls: `SELECT c.id, t.hash, o.name, n.name AS target, o.answered FROM calls o JOIN tasks t ON t.key = o.task
    JOIN correlations c ON c.key = t.correlation JOIN names n ON n.key = o.target ORDER BY c.id, t.hash, o.name`,
  failures: `SELECT c.id, t.hash, f.pos, f.at FROM failures f JOIN tasks t ON t.key = f.task
    JOIN correlations c ON c.key = t.correlation ORDER BY f.pos`,
  events: `SELECT e.pos, c.id, t.hash, e.name, n.name AS type, e.time, w.name AS tenant, u.name AS user, s.name AS source FROM events e
    JOIN correlations c ON c.key = e.correlation JOIN names n ON n.key = e.type JOIN names w ON w.key = e.tenant
    JOIN names s ON s.key = e.source LEFT JOIN names u ON u.key = e.user LEFT JOIN tasks t ON t.key = e.task ORDER BY e.pos`,
  words: 'SELECT rowid FROM words ORDER BY rowid',
  usage: `SELECT u.hour, w.name AS tenant, p.name AS program, m.name AS model, c.id, u.calls, u.failed, u.input, u.output, u.cached,
    u.reasoning, u.cost FROM usage u JOIN names w ON w.key = u.tenant LEFT JOIN names p ON p.key = u.program
    JOIN names m ON m.key = u.model JOIN correlations c ON c.key = u.correlation ORDER BY u.hour, tenant, program, model, c.id`,
}
