import type { DatabaseSync } from 'node:sqlite'
import type { Bus } from '../../bus/bus.ts'
import { maxPartitions, withOffset } from '../../bus/cursor.ts'
import { toIndexEntry } from './entry.ts'
import { eventsAt, withData } from './events.ts'
import { pack, unpack } from './packed.ts'
import { prepareStatement, transact } from './schema.ts'
import { IndexWriter } from './writer.ts'

/*
 * The janitor purges events from the beginning of the log but keeps events that are still in use. Correlations with purged events are
 * indexed again from the remaining events, as if the purged ones had never existed.
 */

const chunk = 2_048
const inPartition = `pos % ${maxPartitions} = ?`

/** Removes purged events from the index. */
export async function prune(bus: Bus, db: DatabaseSync): Promise<void> {
  // A write of another process invalidates what was read, so the loop starts over.
  for (let isDone = false; !isDone; ) isDone = await pruneOnce(bus, db, dataVersion(db))
}

async function pruneOnce(bus: Bus, db: DatabaseSync, version: number): Promise<boolean> {
  for (let partition = 0; partition < bus.partitions; partition++)
    if (!(await prunePartition(bus, db, partition, version))) return false
  return true
}

async function prunePartition(bus: Bus, db: DatabaseSync, partition: number, version: number): Promise<boolean> {
  const mark = await highestMissing(bus, db, partition)
  if (mark === undefined) return true
  const { present, top } = await scanBottom(bus, db, partition, mark)
  const lost = new Set<number>()
  const rows = prepareStatement<{ pos: number; correlation: number }>(
    db,
    `SELECT pos, correlation FROM events WHERE pos <= ? AND ${inPartition}`,
  )
  for (const { pos, correlation } of rows.iterate(top, partition)) if (!present.has(pos)) lost.add(correlation)
  const keys = [...lost]
  for (let from = 0; from < keys.length; from += chunk) {
    const some = keys.slice(from, from + chunk)
    const isLeft = (pos: number) => pos > top || present.has(pos)
    if (!(await refold(bus, db, some, isLeft, version))) return false
  }
  return true
}

/** Probes the first event and events at doubling distances. Undefined if all of them exist. */
async function highestMissing(bus: Bus, db: DatabaseSync, partition: number): Promise<number | undefined> {
  const next = prepareStatement<{ pos: number }>(
    db,
    `SELECT pos FROM events WHERE pos >= ? AND ${inPartition} ORDER BY pos LIMIT 1`,
  )
  const bottom = next.get(0, partition)?.pos
  if (bottom === undefined) return undefined
  const looked = new Set([bottom])
  for (let distance = maxPartitions; ; distance *= 2) {
    const pos = next.get(bottom + distance, partition)?.pos
    if (pos === undefined) break
    looked.add(pos)
  }
  const positions = [...looked]
  const found = await bus.readAt(positions.map(unpack))
  return positions.findLast((_, i) => found[i] === undefined)
}

/** The existing events up to the first complete chunk above `mark`. */
async function scanBottom(
  bus: Bus,
  db: DatabaseSync,
  partition: number,
  mark: number,
): Promise<{ present: Set<number>; top: number }> {
  const next = prepareStatement<{ pos: number }>(
    db,
    `SELECT pos FROM events WHERE pos > ? AND ${inPartition} ORDER BY pos LIMIT ${chunk}`,
  )
  const present = new Set<number>()
  // Both ends of a read cover all other partitions, so that nothing of them is read.
  const head = await bus.head()
  const upTo = (pos: number) => withOffset(head, partition, unpack(pos).offset)
  let top = 0
  for (let rows = next.all(0, partition); rows.length > 0; rows = next.all(top, partition)) {
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
  const of = prepareStatement<{ pos: number }>(db, 'SELECT pos FROM events WHERE correlation = ?')
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
  const word = prepareStatement(db, 'DELETE FROM words WHERE rowid = ?')
  for (const position of positions) word.run(position)
  for (const sql of [
    'DELETE FROM calls WHERE task IN (SELECT key FROM tasks WHERE correlation = ?)',
    'DELETE FROM failures WHERE task IN (SELECT key FROM tasks WHERE correlation = ?)',
    'DELETE FROM tasks WHERE correlation = ?',
    'DELETE FROM events WHERE correlation = ?',
    'DELETE FROM correlations WHERE key = ?',
  ])
    prepareStatement(db, sql).run(correlation)
}

/** Changes when another connection writes. */
const dataVersion = (db: DatabaseSync) =>
  prepareStatement<{ data_version: number }>(db, 'PRAGMA data_version').get()!.data_version
