import type { DatabaseSync } from 'node:sqlite'
import type { Bus } from '../../bus/bus.ts'
import type { Position, StoredEvent } from '../../bus/driver.ts'
import { entryOf, type Entry } from './entry.ts'
import { withData } from './events.ts'
import { prune } from './prune.ts'
import { makeTables, prepare, transact } from './schema.ts'
import { Writer } from './writer.ts'

/** How far a long catch-up has come, in events of about so many. */
export type Progress = (done: number, total: number) => void

interface State {
  /** The log was read up to here. */
  readonly read: Position
  /** The last event that was there, 0 for none. */
  readonly last: Position
  readonly id: string
}

const batchEvents = 8_192

/**
 * Brings the index up to the head of the log. The log is read outside of any transaction; what was read is written only if
 * nobody else came that far meanwhile, so any number of processes may do this at once, and each may die at any instruction.
 */
export async function catchUp(bus: Bus, db: DatabaseSync, onProgress: Progress = () => {}): Promise<void> {
  const head = await bus.head()
  let state = stateOf(db)
  if (!(await isOfThisLog(bus, state, head))) {
    transact(db, () => {
      if (isSame(state, stateOf(db))) makeTables(db)
    })
    state = stateOf(db)
  }
  await prune(bus, db)
  const begin = state.read
  while (state.read < head) {
    const entries: Entry[] = []
    for (const stored of await withData(bus, await batch(bus, state.read, head))) entries.push(entryOf(stored))
    const isLast = entries.length < batchEvents
    const { position: last, id } = entries.at(-1) ?? { position: state.last, id: state.id }
    const next = { read: isLast ? head : last, last, id }
    // Only what is written last must be on the disk, and all before it then is: what a power cut leaves is no file or a sound one.
    db.exec(`PRAGMA synchronous = ${isLast ? 'NORMAL' : 'OFF'}`)
    transact(db, () => {
      if (!isSame(state, stateOf(db))) return
      const writer = new Writer(db)
      for (const entry of entries) writer.add(entry)
      writer.flush()
      prepare(db, 'UPDATE state SET read = ?, last = ?, id = ?').run(next.read, next.last, next.id)
    })
    state = stateOf(db)
    onProgress(state.read - begin, head - begin)
  }
}

const stateOf = (db: DatabaseSync): State => prepare<State>(db, 'SELECT read, last, id FROM state').get()!

const isSame = (a: State, b: State) => a.read === b.read && a.last === b.last && a.id === b.id

/** A log that was emptied, or another one under the same name, has another event there or none. */
async function isOfThisLog(bus: Bus, { read, last, id }: State, head: Position): Promise<boolean> {
  if (head < read) return false
  if (last === 0) return true
  const [stored] = await bus.readAt([last])
  return stored?.event.id === id
}

async function batch(bus: Bus, after: Position, until: Position): Promise<StoredEvent[]> {
  return Array.fromAsync(bus.read({ after, until, limit: batchEvents }))
}
