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
  correlations: 'SELECT id, first, last, at, events, tokens, cost FROM correlations ORDER BY id',
  tasks: `SELECT c.id, t.hash, p.name AS program, t.version, t.code, t.turns, t.last, t.started, t.at, t.end FROM tasks t
    JOIN correlations c ON c.key = t.correlation LEFT JOIN names p ON p.key = t.program ORDER BY c.id, t.hash`,
  calls: `SELECT c.id, t.hash, o.name, n.name AS target, o.answered FROM calls o JOIN tasks t ON t.key = o.task
    JOIN correlations c ON c.key = t.correlation JOIN names n ON n.key = o.target ORDER BY c.id, t.hash, o.name`,
  failures: `SELECT c.id, t.hash, f.pos, f.at FROM failures f JOIN tasks t ON t.key = f.task
    JOIN correlations c ON c.key = t.correlation ORDER BY f.pos`,
  events: `SELECT e.pos, c.id, t.hash, e.name, n.name AS type, e.time FROM events e JOIN correlations c ON c.key = e.correlation
    JOIN names n ON n.key = e.type LEFT JOIN tasks t ON t.key = e.task ORDER BY e.pos`,
  words: 'SELECT rowid FROM words ORDER BY rowid',
}
