import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import type { Bus } from '../../bus/bus.ts'
import { withOffset } from '../../bus/cursor.ts'
import { prepareSql } from '../../bus/sql.ts'
import { toIndexEntry } from './entry.ts'
import { eventsAt, withData } from './events.ts'
import { keysOf, pack, unpack } from './packed.ts'
import { transact } from './schema.ts'
import { IndexWriter } from './writer.ts'

/*
 * The janitor purges events from the beginning of the log but keeps events that are still in use. Correlations with purged events are
 * indexed again from the remaining events, as if the purged ones had never existed.
 */

const chunk = 2_048

/** Removes purged events from the index. `correlations`: how many are indexed again at a time; other work of the process runs in between. */
export async function prune(bus: Bus, db: DatabaseSync, correlations = chunk): Promise<void> {
  // A write of another process invalidates what was read, so the loop starts over.
  for (let isDone = false; !isDone; ) isDone = await pruneOnce(bus, db, { version: dataVersion(db), correlations })
}

interface PruneStep {
  readonly version: number
  readonly correlations: number
}

async function pruneOnce(bus: Bus, db: DatabaseSync, step: PruneStep): Promise<boolean> {
  for (const mark of await highestMissing(bus, db)) if (!(await prunePartition(bus, db, mark, step))) return false
  return true
}

async function prunePartition(bus: Bus, db: DatabaseSync, mark: number, step: PruneStep): Promise<boolean> {
  const { low } = keysOf(unpack(mark).partition)
  const { present, top } = await scanBottom(bus, db, mark)
  const lost = new Set<number>()
  const rows = prepareSql<{ pos: number; correlation: number }>(
    db,
    'SELECT pos, correlation FROM events WHERE pos > ? AND pos <= ?',
  )
  for (const { pos, correlation } of rows.iterate(low, top)) if (!present.has(pos)) lost.add(correlation)
  const keys = [...lost]
  const { version, correlations } = step
  for (let from = 0; from < keys.length; from += correlations) {
    const some = keys.slice(from, from + correlations)
    const isLeft = (pos: number) => pos > top || present.has(pos)
    if (!(await refold(bus, db, some, isLeft, version))) return false
    await setImmediate()
  }
  return true
}

/** In each partition, probes the first event and events at doubling distances. Returns the highest one that is missing, if any. */
async function highestMissing(bus: Bus, db: DatabaseSync): Promise<number[]> {
  const next = prepareSql<{ pos: number }>(
    db,
    'SELECT pos FROM events WHERE pos >= ? AND pos <= ? ORDER BY pos LIMIT 1',
  )
  const probes = new Set<number>()
  for (let partition = 0; partition < bus.partitions; partition++) {
    const { low, high } = keysOf(partition)
    const bottom = next.get(low, high)?.pos
    let pos = bottom
    for (let distance = 1; pos !== undefined; distance *= 2) {
      probes.add(pos)
      pos = next.get(bottom! + distance, high)?.pos
    }
  }
  const keys = [...probes]
  const found = await bus.readAt(keys.map(unpack))
  const missing = new Map<number, number>()
  for (const [i, pos] of keys.entries()) if (found[i] === undefined) missing.set(unpack(pos).partition, pos)
  return [...missing.values()]
}

/** The existing events of the partition of `mark`, up to the first complete chunk above `mark`. */
async function scanBottom(bus: Bus, db: DatabaseSync, mark: number): Promise<{ present: Set<number>; top: number }> {
  const next = prepareSql<{ pos: number }>(
    db,
    `SELECT pos FROM events WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT ${chunk}`,
  )
  const { partition } = unpack(mark)
  const { low, high } = keysOf(partition)
  const present = new Set<number>()
  // Both ends of a read cover all other partitions, so that nothing of them is read.
  const head = await bus.head()
  const upTo = (pos: number) => withOffset(head, partition, unpack(pos).offset)
  let top = low
  for (let rows = next.all(low, high); rows.length > 0; rows = next.all(top, high)) {
    const until = rows.at(-1)!.pos
    for await (const { position } of bus.read({ after: upTo(top), until: upTo(until) })) present.add(pack(position))
    top = until
    if (top > mark && rows.every(({ pos }) => present.has(pos))) break
  }
  return { present, top }
}

/** Replaces correlations by their remaining events. False if another connection wrote since `version`. */
async function refold(
  bus: Bus,
  db: DatabaseSync,
  keys: readonly number[],
  isLeft: (pos: number) => boolean,
  version: number,
): Promise<boolean> {
  const of = prepareSql<{ pos: number }>(db, 'SELECT pos FROM events WHERE correlation = ?')
  const positions = new Map(keys.map(key => [key, of.all(key).map(({ pos }) => pos)]))
  const left = [...positions.values()].flatMap(all => all.filter(isLeft)).sort((a, b) => a - b)
  const entries = (await withData(bus, await eventsAt(bus, left.map(unpack)))).map(toIndexEntry)
  return transact(db, () => {
    if (dataVersion(db) !== version) return false
    for (const [key, all] of positions) drop(db, key, all)
    const writer = new IndexWriter(db)
    for (const entry of entries) writer.add(entry)
    writer.flush()
    return true
  })
}

function drop(db: DatabaseSync, correlation: number, positions: readonly number[]) {
  const word = prepareSql(db, 'DELETE FROM words WHERE rowid = ?')
  for (const position of positions) word.run(position)
  for (const sql of [
    'DELETE FROM calls WHERE task IN (SELECT key FROM tasks WHERE correlation = ?)',
    'DELETE FROM failures WHERE task IN (SELECT key FROM tasks WHERE correlation = ?)',
    'DELETE FROM tasks WHERE correlation = ?',
    'DELETE FROM events WHERE correlation = ?',
    'DELETE FROM usage WHERE correlation = ?',
    'DELETE FROM correlations WHERE key = ?',
  ])
    prepareSql(db, sql).run(correlation)
}

/** Changes when another connection writes. */
const dataVersion = (db: DatabaseSync) =>
  prepareSql<{ data_version: number }>(db, 'PRAGMA data_version').get()!.data_version
