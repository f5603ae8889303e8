import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { withHome } from './host.ts'

/**
 * The floor: inserts the rows of one task repeatedly, through the same library with the same settings, and nothing else.
 * `perCommit` tasks share a transaction. Returns tasks per second.
 */
export function rawLoop(
  rows: readonly { id: string; type: string; json: string }[],
  tasks: number,
  perCommit: number,
): Promise<number> {
  return withHome(async home => {
    const db = new DatabaseSync(join(home, 'raw.sqlite'))
    db.exec(
      'PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000',
    )
    db.exec(
      'CREATE TABLE log (pos INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, type TEXT, target TEXT, correlation TEXT, shard INTEGER, event TEXT)',
    )
    const insert = db.prepare('INSERT INTO log (id, type, target, correlation, shard, event) VALUES (?, ?, ?, ?, ?, ?)')
    const begin = performance.now()
    for (let task = 0; task < tasks; ) {
      // As in the runtime, the rows of several tasks alternate.
      const last = Math.min(tasks, task + perCommit)
      for (const { id, type, json } of rows) {
        db.exec('BEGIN IMMEDIATE')
        for (let t = task; t < last; t++)
          insert.run(`${String(t).padStart(12, '0')}${id}`, type, 'noop', 'correlation', 1, json)
        db.exec('COMMIT')
      }
      task = last
    }
    const seconds = (performance.now() - begin) / 1_000
    db.close()
    return tasks / seconds
  })
}
