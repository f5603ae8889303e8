import type { DatabaseSync } from 'node:sqlite'
import { eventFrom } from '../../bus/malformed.ts'
import { sqlFor } from '../../bus/sql.ts'
import { RecentRows, type RecentRow } from './recent-rows.ts'

/*
 * What this process has read of the log. It may be deleted at any time.
 *
 * events     every event and turn up to where the follower is, by place: partition × 2^45 + offset. A repeated id is left out, so
 *            that every reader sees the first one only
 * state      the newest value of each key of the compacted topic; of `claim/…` and `start/…` the first one
 * progress   of each partition of both topics: the offset up to which it was read
 * horizons   of each partition of the events: the offset up to which a purge removed them
 */
const ddl = `
  CREATE TABLE events(
    place INTEGER PRIMARY KEY, id TEXT NOT NULL, partition INTEGER NOT NULL, type TEXT NOT NULL, target TEXT,
    correlation TEXT NOT NULL, at INTEGER NOT NULL, time INTEGER NOT NULL, event TEXT NOT NULL, UNIQUE(id, partition));
  CREATE INDEX events_origin ON events(correlation) WHERE substr(id, 1, 36) <> correlation;
  CREATE TABLE state(
    key TEXT PRIMARY KEY, partition INTEGER NOT NULL, offset INTEGER NOT NULL, value TEXT NOT NULL);
  CREATE TABLE progress(
    topic TEXT NOT NULL, partition INTEGER NOT NULL, covered INTEGER NOT NULL, PRIMARY KEY(topic, partition)) WITHOUT ROWID;
  CREATE TABLE horizons(partition INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
  CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`

export type IndexedTopic = 'events' | 'state'

/** An event without its text. Offsets are positive: one more than that of Kafka. */
export interface IndexedEvent {
  readonly partition: number
  readonly offset: number
  readonly id: string
  readonly type: string
  readonly target: string | null
  readonly correlation: string
  /** When the broker stored it, in ms since the epoch. */
  readonly at: number
  /** The time that the event itself states. */
  readonly time: number
}

/** A record as the follower read it. */
export interface InRecord {
  readonly offset: number
  readonly at: number
  readonly key: string
  readonly value: Buffer | null
}

/** The newest value of a key. */
export interface StateRow {
  readonly key: string
  readonly partition: number
  readonly offset: number
  readonly value: string
}

/** A key that was set, or deleted if it has no value. */
export interface StateChange {
  readonly key: string
  readonly partition: number
  readonly offset: number
  readonly value: string | undefined
}

/** What a partition holds after a fetch. */
export interface PartitionPage {
  readonly topic: IndexedTopic
  readonly partition: number
  readonly records: readonly InRecord[]
  /** Everything up to this offset was read. */
  readonly covered: number
  /** The broker has deleted everything up to this offset. */
  readonly deleted: number
}

const partitionSize = 2 ** 45
/** Characters of events that are kept in memory, over all partitions. */
const maxRecentChars = 32 << 20
const placeOf = (partition: number, offset: number) => partition * partitionSize + offset
const columns = `partition, place - partition * ${partitionSize} AS offset, id, type, target, correlation, at, time`

function statementsFor(db: DatabaseSync) {
  const sql = sqlFor(db)
  return {
    byId: sql<IndexedEvent>(`SELECT ${columns} FROM events WHERE id = ? AND partition = ?`),
    byPlace: sql<IndexedEvent>(`SELECT ${columns} FROM events WHERE place = ?`),
    text: sql<{ event: string }>('SELECT event FROM events WHERE place = ?'),
    range: sql<IndexedEvent>(`SELECT ${columns} FROM events WHERE place > ? AND place <= ? ORDER BY place LIMIT ?`),
    newest: sql<{ place: number | null }>('SELECT max(place) AS place FROM events WHERE place > ? AND place <= ?'),
    stateValues: sql<{ value: string }>('SELECT value FROM state'),
    count: sql<{ count: number }>('SELECT count(*) AS count FROM events WHERE place > ? AND place <= ?'),
    ids: sql<IndexedEvent>(`SELECT ${columns} FROM events WHERE id >= ? AND id < ? ORDER BY id`),
    firstId: sql<{ id: string }>('SELECT id FROM events WHERE id >= ? AND id < ? ORDER BY id LIMIT 1'),
    lastId: sql<{ id: string }>('SELECT id FROM events WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1'),
    ofCorrelation: sql<{ place: number }>(`SELECT place FROM events WHERE id >= ?1 AND id < ?2 AND correlation = ?1
      UNION SELECT place FROM events WHERE correlation = ?1 AND substr(id, 1, 36) <> correlation ORDER BY place`),
    insert: sql('INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    remove: sql('DELETE FROM events WHERE place > ? AND place <= ?'),
    state: sql<StateRow>('SELECT key, partition, offset, value FROM state WHERE key = ?'),
    stateRange: sql<StateRow>(
      'SELECT key, partition, offset, value FROM state WHERE key >= ? AND key < ? ORDER BY key',
    ),
    setState: sql('INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?)'),
    deleteState: sql('DELETE FROM state WHERE key = ?'),
    progress: sql<{ topic: IndexedTopic; partition: number; covered: number }>('SELECT * FROM progress'),
    horizons: sql<{ partition: number; offset: number }>('SELECT * FROM horizons'),
    setHorizon: sql('INSERT OR REPLACE INTO horizons VALUES (?, ?)'),
    setProgress: sql('INSERT OR REPLACE INTO progress VALUES (?, ?, ?)'),
    meta: sql<{ value: string }>('SELECT value FROM meta WHERE key = ?'),
    setMeta: sql('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
  }
}

/** The local copy of a log that a process reads from. All methods answer at once. */
export class LocalIndex {
  readonly #db: DatabaseSync
  readonly #sql: ReturnType<typeof statementsFor>
  readonly #covered = new Map<string, number>()
  readonly #deleted = new Map<number, number>()
  readonly #recent = new Map<number, RecentRows>()
  readonly #meta = new Map<string, string>()
  readonly #recentChars: number

  /** `db`: an empty file, or one that an earlier index wrote. `partitions`: of the log. */
  constructor(db: DatabaseSync, partitions: number) {
    this.#db = db
    this.#recentChars = maxRecentChars / partitions
    const { tables } = sqlFor(db)<{ tables: number }>('SELECT count(*) AS tables FROM sqlite_schema').get()!
    if (tables === 0) db.exec(ddl)
    this.#sql = statementsFor(db)
    for (const { topic, partition, covered } of this.#sql.progress.all())
      this.#covered.set(`${topic} ${partition}`, covered)
    for (const { partition, offset } of this.#sql.horizons.all()) this.#deleted.set(partition, offset)
  }

  /** Everything up to this offset of the partition is in the index. */
  covered(topic: IndexedTopic, partition: number): number {
    return this.#covered.get(`${topic} ${partition}`) ?? 0
  }

  /** Every event up to this offset was deleted from the partition, or is about to be. */
  deleted(partition: number): number {
    return this.#deleted.get(partition) ?? 0
  }

  /** The offset of the newest event of a partition; where all were deleted, that of the last of them. */
  newest(partition: number): number {
    const row = this.#sql.newest.get(placeOf(partition, 0), placeOf(partition, partitionSize - 1))
    const offset = row?.place == null ? 0 : row.place - partition * partitionSize
    return Math.max(offset, this.deleted(partition))
  }

  byId(partition: number, id: string): IndexedEvent | undefined {
    return this.#sql.byId.get(id, partition)
  }

  at(partition: number, offset: number): IndexedEvent | undefined {
    return this.#recentAt(partition, offset) ?? this.#sql.byPlace.get(placeOf(partition, offset))
  }

  text(partition: number, offset: number): string | undefined {
    return this.#recentAt(partition, offset)?.text ?? this.#sql.text.get(placeOf(partition, offset))?.event
  }

  /** Events of a partition after one offset and up to another, in order. */
  range(partition: number, after: number, until: number, limit: number): IndexedEvent[] {
    const first = Math.max(after, this.deleted(partition))
    const recent = this.#recent.get(partition)?.range(first, until, limit)
    if (recent) return recent
    const last = Math.min(until, partitionSize - 1)
    return this.#sql.range.all(placeOf(partition, first), placeOf(partition, last), limit)
  }

  /** Events whose ids are not before `from` and before `end`, in the order of their ids. */
  idsBetween(from: string, end: string): IndexedEvent[] {
    return this.#sql.ids.all(from, end)
  }

  firstId(from: string, end: string): string | undefined {
    return this.#sql.firstId.get(from, end)?.id
  }

  lastId(from: string, end: string): string | undefined {
    return this.#sql.lastId.get(from, end)?.id
  }

  /** The offsets of a correlation, in order. */
  ofCorrelation(partition: number, correlation: string): number[] {
    const end = correlation.slice(0, -1) + String.fromCharCode(correlation.charCodeAt(correlation.length - 1) + 1)
    return this.#sql.ofCorrelation
      .all(correlation, end)
      .map(({ place }) => place - partition * partitionSize)
      .filter(offset => offset > 0 && offset < partitionSize)
  }

  state(key: string): StateRow | undefined {
    return this.#sql.state.get(key)
  }

  /** Keys that begin with a text, in order. */
  statesOf(prefix: string): StateRow[] {
    return this.#sql.stateRange.all(
      prefix,
      prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1),
    )
  }

  meta(key: string): string | undefined {
    const known = this.#meta.get(key) ?? this.#sql.meta.get(key)?.value
    if (known !== undefined) this.#meta.set(key, known)
    return known
  }

  setMeta(key: string, value: string): void {
    this.#sql.setMeta.run(key, value)
    this.#meta.set(key, value)
  }

  /** Takes in what a fetch returned, whole or not at all. Returns the changes of the state. */
  add(pages: readonly PartitionPage[]): StateChange[] {
    const changes: StateChange[] = []
    this.#db.exec('BEGIN')
    try {
      for (const page of pages) {
        if (page.topic === 'events') this.#addEvents(page)
        else changes.push(...this.#addState(page))
        this.#sql.setProgress.run(page.topic, page.partition, page.covered)
      }
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      this.#recent.clear()
      throw error
    }
    for (const { topic, partition, covered } of pages) this.#covered.set(`${topic} ${partition}`, covered)
    return changes
  }

  /** The number of events of a partition up to an offset. */
  count(partition: number, until: number): number {
    return this.#sql.count.get(placeOf(partition, 0), placeOf(partition, until))!.count
  }

  /** The values of all keys. The index must not change meanwhile. */
  *stateValues(): Generator<string> {
    for (const { value } of this.#sql.stateValues.iterate()) yield value
  }

  /** Forgets a partition: the broker lost it, or it must be read again. */
  forget(topic: IndexedTopic, partition: number): void {
    if (topic === 'events') {
      this.#sql.remove.run(placeOf(partition, 0), placeOf(partition, partitionSize - 1))
      this.#sql.setHorizon.run(partition, 0)
    } else this.#db.prepare('DELETE FROM state WHERE partition = ?').run(partition)
    this.#sql.setProgress.run(topic, partition, 0)
    this.#covered.delete(`${topic} ${partition}`)
    if (topic === 'events') {
      this.#deleted.delete(partition)
      this.#recent.delete(partition)
    }
  }

  close(): void {
    this.#db.close()
  }

  #addEvents({ partition, records, deleted }: PartitionPage): void {
    const recent = this.#recent.get(partition) ?? new RecentRows(this.covered('events', partition), this.#recentChars)
    this.#recent.set(partition, recent)
    for (const { offset, at, value: bytes } of records) {
      // A record without a value only ends a transaction: marker-repair.ts.
      if (offset <= this.deleted(partition) || !bytes) continue
      const value = bytes.toString()
      const event = eventFrom(value)
      const { id, type, target = null, correlationid } = event ?? malformed(partition, offset)
      const time = (event && Date.parse(event.time)) || at
      const place = placeOf(partition, offset)
      const { changes } = this.#sql.insert.run(place, id, partition, type, target, correlationid, at, time, value)
      // A repeated id is left out.
      if (changes === 0) continue
      recent.add({ partition, offset, id, type, target, correlation: correlationid, at, time, text: value })
    }
    this.#deleteUpTo(partition, deleted)
  }

  #recentAt(partition: number, offset: number): RecentRow | undefined {
    return offset > this.deleted(partition) ? this.#recent.get(partition)?.at(offset) : undefined
  }

  #deleteUpTo(partition: number, offset: number): void {
    if (offset <= this.deleted(partition)) return
    this.#sql.remove.run(placeOf(partition, 0), placeOf(partition, offset))
    this.#sql.setHorizon.run(partition, offset)
    this.#deleted.set(partition, offset)
  }

  #addState({ partition, records }: PartitionPage): StateChange[] {
    return records.flatMap(({ offset, key, value: bytes }) => {
      if (isCreateOnly(key) && this.state(key)) return []
      const value = bytes?.toString()
      if (value === undefined) this.#sql.deleteState.run(key)
      else this.#sql.setState.run(key, partition, offset, value)
      if (key === horizonKey(partition)) this.#deleteUpTo(partition, Number(value))
      return [{ key, partition, offset, value }]
    })
  }
}

/** Of these keys the first value stays, so that the order of the partition decides between members that write one at once. */
const isCreateOnly = (key: string) => key.startsWith('claim/') || key.startsWith('start/')

/** The key of the state that says up to where the events of a partition were purged. It is written before they are. */
export const horizonKey = (partition: number) => `horizon/${partition}`

/** Somebody else wrote it to the topic. It has a row, so that it can be found, and readers skip it. */
const malformed = (partition: number, offset: number) => ({
  id: `malformed:${partition}:${offset}`,
  type: 'control.malformed',
  target: null,
  correlationid: '',
})
