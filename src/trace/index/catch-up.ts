import type { DatabaseSync } from 'node:sqlite'
import type { Bus } from '../../bus/bus.ts'
import { coversAll, distanceBetween } from '../../bus/cursor.ts'
import type { Cursor } from '../../bus/driver.ts'
import { toIndexEntry, type IndexEntry } from './entry.ts'
import { withData } from './events.ts'
import { unpack } from './packed.ts'
import { prune } from './prune.ts'
import { makeTables, prepareStatement, transact } from './schema.ts'
import { IndexWriter } from './writer.ts'

/** Reports the progress of a long catch-up, in events; the total is an estimate. */
export type OnProgress = (done: number, total: number) => void

interface IndexState {
  /** Covers what was read of the log. */
  readonly cursor: Cursor
  /** Packed position of the last indexed event, 0 for none. */
  readonly last: number
  readonly id: string
}

const batchEvents = 8_192

/**
 * Updates the index to the head of the log. Reads the log outside of any transaction and writes a batch only if no other process wrote it
 * meanwhile. So any number of processes may do this at once, and each may die at any instruction.
 */
export async function catchUp(bus: Bus, db: DatabaseSync, onProgress: OnProgress = () => {}): Promise<void> {
  const head = await bus.head()
  let state = stateOf(db)
  if (!(await isSameLog(bus, state, head))) {
    transact(db, () => {
      if (isSame(state, stateOf(db))) makeTables(db)
    })
    state = stateOf(db)
  }
  await prune(bus, db)
  const begin = state.cursor
  while (!coversAll(state.cursor, head)) {
    const read = await Array.fromAsync(bus.read({ after: state.cursor, until: head, limit: batchEvents }))
    const entries: IndexEntry[] = []
    for (const stored of await withData(bus, read)) entries.push(toIndexEntry(stored))
    const isLast = entries.length < batchEvents
    const { pos: last, id } = entries.at(-1) ?? { pos: state.last, id: state.id }
    const next = { cursor: isLast ? head : read.at(-1)!.cursor, last, id }
    // Only the last batch is synced, and that also makes the earlier ones durable: a power cut leaves a missing or a valid file.
    db.exec(`PRAGMA synchronous = ${isLast ? 'NORMAL' : 'OFF'}`)
    transact(db, () => {
      if (!isSame(state, stateOf(db))) return
      const writer = new IndexWriter(db)
      for (const entry of entries) writer.add(entry)
      writer.flush()
      prepareStatement(db, 'UPDATE state SET cursor = ?, last = ?, id = ?').run(next.cursor, next.last, next.id)
    })
    state = stateOf(db)
    onProgress(distanceBetween(begin, state.cursor), distanceBetween(begin, head))
  }
}

const stateOf = (db: DatabaseSync): IndexState =>
  prepareStatement<IndexState>(db, 'SELECT cursor, last, id FROM state').get()!

const isSame = (a: IndexState, b: IndexState) => a.cursor === b.cursor && a.last === b.last && a.id === b.id

/** Detects a log that was emptied or replaced: it has another event at the last position, or none. */
async function isSameLog(bus: Bus, { cursor, last, id }: IndexState, head: Cursor): Promise<boolean> {
  if (!coversAll(head, cursor)) return false
  if (last === 0) return true
  const [stored] = await bus.readAt([unpack(last)])
  return stored?.event.id === id
}
