import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  isRead,
  reasonText,
  type Logged,
  type LogReader,
  type SetAside,
  type StoredReason,
  type WireEvent,
} from './wire.ts'

const page = 2_000

/** Reads the embedded log of a home folder. */
export function readSqlite(home: string): LogReader {
  const db = new DatabaseSync(join(home, 'log.db'), { readOnly: true, timeout: 60_000 })
  const rows = db.prepare('SELECT pos, event FROM log WHERE pos > ? ORDER BY pos LIMIT ?')
  const aside = db.prepare(
    'SELECT a.state, a.reason, l.id FROM aside a LEFT JOIN log l ON l.pos = a.pos ORDER BY a.pos',
  )
  const blob = (tenant: string, digest: string) =>
    readFile(join(home, 'blobs', tenant, digest.slice(0, 2), digest), 'utf8')

  async function whole(event: WireEvent): Promise<WireEvent> {
    if (event.dataref === undefined || !isRead(event)) return event
    return { ...event, data: JSON.parse(await blob(event.tenant, event.dataref.replace('sha256-', ''))) as unknown }
  }

  let last = 0
  return {
    async *unread(): AsyncGenerator<Logged> {
      for (;;) {
        const found = rows.all(last, page) as { pos: number; event: string }[]
        for (const { pos, event } of found) {
          last = pos
          yield { position: pos, event: await whole(JSON.parse(event) as WireEvent) }
        }
        if (found.length < page) return
      }
    },
    setAside: () =>
      Promise.resolve(
        (aside.all() as { state: string; reason: string; id: string | null }[]).map(
          ({ state, reason, id }): SetAside => ({
            state,
            reason: reasonText(JSON.parse(reason) as StoredReason),
            ...(id !== null && { event: id }),
          }),
        ),
      ),
    close: () => Promise.resolve(db.close()),
  }
}
