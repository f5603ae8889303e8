import type { DatabaseSync } from 'node:sqlite'
import type { Bus } from '../../bus/bus.ts'
import type { Position, StoredEvent } from '../../bus/driver.ts'
import { toIndexEntry, type IndexEntry } from './entry.ts'
import { withData } from './events.ts'
import { prune } from './prune.ts'
import { makeTables, prepareStatement, transact } from './schema.ts'
import { IndexWriter } from './writer.ts'

/** Reports the progress of a long catch-up, in events; the total is an estimate. */
export type OnProgress = (done: number, total: number) => void

interface IndexState {
  /** Position up to which the log was read. */
  readonly read: Position
  /** Position of the last indexed event, 0 for none. */
  readonly last: Position
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
  const begin = state.read
  while (state.read < head) {
    const entries: IndexEntry[] = []
    for (const stored of await withData(bus, await batch(bus, state.read, head))) entries.push(toIndexEntry(stored))
    const isLast = entries.length < batchEvents
    const { position: last, id } = entries.at(-1) ?? { position: state.last, id: state.id }
    const next = { read: isLast ? head : last, last, id }
    // Only the last batch is synced, and that also makes the earlier ones durable: a power cut leaves a missing or a valid file.
    db.exec(`PRAGMA synchronous = ${isLast ? 'NORMAL' : 'OFF'}`)
    transact(db, () => {
      if (!isSame(state, stateOf(db))) return
      const writer = new IndexWriter(db)
      for (const entry of entries) writer.add(entry)
      writer.flush()
      prepareStatement(db, 'UPDATE state SET read = ?, last = ?, id = ?').run(next.read, next.last, next.id)
    })
    state = stateOf(db)
    onProgress(state.read - begin, head - begin)
  }
}

const stateOf = (db: DatabaseSync): IndexState =>
  prepareStatement<IndexState>(db, 'SELECT read, last, id FROM state').get()!

const isSame = (a: IndexState, b: IndexState) => a.read === b.read && a.last === b.last && a.id === b.id

/** Detects a log that was emptied or replaced: it has another event at the last position, or none. */
async function isSameLog(bus: Bus, { read, last, id }: IndexState, head: Position): Promise<boolean> {
  if (head < read) return false
  if (last === 0) return true
  const [stored] = await bus.readAt([last])
  return stored?.event.id === id
}

async function batch(bus: Bus, after: Position, until: Position): Promise<StoredEvent[]> {
  return Array.fromAsync(bus.read({ after, until, limit: batchEvents }))
}
