import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { coversAll, distanceBetween, unionOf } from '../../bus/cursor.ts'
import type { Cursor, LogEntry } from '../../bus/driver.ts'
import { prepareSql } from '../../bus/sql.ts'
import { toIndexEntry } from './entry.ts'
import { withData } from './events.ts'
import { unpack } from './packed.ts'
import { prune } from './prune.ts'
import { makeTables, transact } from './schema.ts'
import { IndexWriter } from './writer.ts'

/** Reports the progress of a long catch-up, in events; the total is an estimate. */
export type OnProgress = (done: number, total: number) => void

interface IndexState {
  /** Covers what was read of the log. */
  readonly cursor: Cursor
  /** JSON: the packed position and the id of the newest indexed event of each partition that has one. */
  readonly newest: string
}

const maxBatchEvents = 8_192

/**
 * Updates the index to the head of the log. Reads the log outside of any transaction and writes a batch only if no other process wrote it
 * meanwhile. So any number of processes may do this at once, and each may die at any instruction.
 */
export async function catchUp(bus: Bus, db: DatabaseSync, onProgress?: OnProgress): Promise<void> {
  await checkLog(bus, db)
  await readNew(bus, db, { ...(onProgress && { onProgress }) })
}

/** Empties the index if the log was replaced, and removes what was purged. `correlations`: see {@link prune}. */
export async function checkLog(bus: Bus, db: DatabaseSync, correlations?: number): Promise<void> {
  const state = stateOf(db)
  if (!(await isSameLog(bus, state, await bus.head())))
    transact(db, () => {
      if (isSame(state, stateOf(db))) makeTables(db)
    })
  await prune(bus, db, correlations)
}

/** Where the index is. */
export const indexedUpTo = (db: DatabaseSync): Cursor => stateOf(db).cursor

interface ReadOptions {
  readonly onProgress?: OnProgress
  /** Events that are written at a time. */
  readonly batchEvents?: number
  /** Ends the reading after the batch at hand. */
  readonly signal?: AbortSignal
}

/** Adds what is on the log now. Other work of the process runs between two batches. */
export async function readNew(
  bus: Bus,
  db: DatabaseSync,
  { onProgress, batchEvents = maxBatchEvents, signal }: ReadOptions,
): Promise<void> {
  const head = await bus.head()
  let state = stateOf(db)
  const begin = unionOf(state.cursor, await bus.horizon())
  while (!coversAll(state.cursor, head) && !signal?.aborted)
    for await (const read of inBatches(bus.read({ after: state.cursor, until: head }), batchEvents)) {
      const isOwn = await writeBatch(bus, db, state, read, { head, isLast: read.length < batchEvents })
      state = stateOf(db)
      onProgress?.(distanceBetween(begin, unionOf(begin, state.cursor)), distanceBetween(begin, head))
      if (!isOwn || signal?.aborted) break
      await setImmediate()
    }
}

/** Yields the last batch even if it is empty. */
async function* inBatches(entries: AsyncIterable<LogEntry>, size: number): AsyncGenerator<LogEntry[]> {
  let batch: LogEntry[] = []
  for await (const entry of entries) {
    if (batch.push(entry) < size) continue
    yield batch
    batch = []
  }
  yield batch
}

/** Returns false, and writes nothing, if another process wrote since `state` was read. */
async function writeBatch(
  bus: Bus,
  db: DatabaseSync,
  state: IndexState,
  read: readonly LogEntry[],
  { head, isLast }: { readonly head: Cursor; readonly isLast: boolean },
): Promise<boolean> {
  const entries = (await withData(bus, read)).map(toIndexEntry)
  const newest = new Map(newestOf(state).map(known => [unpack(known[0]).partition, known]))
  for (const { pos, id } of entries) newest.set(unpack(pos).partition, [pos, id])
  return transact(db, () => {
    if (!isSame(state, stateOf(db))) return false
    const writer = new IndexWriter(db)
    for (const entry of entries) writer.add(entry)
    writer.flush()
    const texts = [isLast ? head : read.at(-1)!.cursor, JSON.stringify([...newest.values()])]
    prepareSql(db, 'UPDATE state SET cursor = ?, newest = ?').run(...texts)
    return true
  })
}

const stateOf = (db: DatabaseSync): IndexState => prepareSql<IndexState>(db, 'SELECT cursor, newest FROM state').get()!

const newestOf = ({ newest }: IndexState) => JSON.parse(newest) as [pos: number, id: string][]

const isSame = (a: IndexState, b: IndexState) => a.cursor === b.cursor && a.newest === b.newest

/**
 * Detects a log that was emptied or replaced: it has other events at the newest positions, or none. The newest event of one partition
 * may be purged while others stay.
 */
async function isSameLog(bus: Bus, state: IndexState, head: Cursor): Promise<boolean> {
  if (!coversAll(head, state.cursor)) return false
  const newest = newestOf(state)
  if (newest.length === 0) return true
  const found = await bus.readAt(newest.map(([pos]) => unpack(pos)))
  return (
    found.some(stored => stored !== undefined) &&
    found.every((stored, i) => stored === undefined || stored.event.id === newest[i]![1])
  )
}
