import { hash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import type { EncodedEvent, Position, TransferRecord } from '../driver.ts'
import { prepareSql } from '../sql.ts'
import type { Filter } from '../../pattern.ts'
import { hasCursor } from './document-cursors.ts'
import { copyMarkKey } from './mark.ts'

/** One of the two logs. */
export type CopySide = 'source' | 'target'

/**
 * What two logs hold, as digests in a database that is deleted when it is closed: a chain for each correlation, which covers the order
 * of its events, and one digest for each other record.
 */
export class RecordDigest {
  // Without a name it is a temporary file.
  readonly #db = new DatabaseSync('')
  readonly #chain
  readonly #setChain
  readonly #setState
  readonly #setPlace
  readonly #place

  constructor() {
    this.#db.exec(`
      CREATE TABLE digests(side TEXT, key TEXT, digest TEXT, PRIMARY KEY(side, key)) WITHOUT ROWID;
      CREATE TABLE places(id TEXT PRIMARY KEY, partition INTEGER, offset INTEGER) WITHOUT ROWID`)
    const put = 'INSERT OR REPLACE INTO digests VALUES (?, ?, ?)'
    this.#chain = prepareSql<{ digest: string }>(this.#db, 'SELECT digest FROM digests WHERE side = ? AND key = ?')
    this.#setChain = prepareSql(this.#db, put)
    this.#setState = prepareSql(this.#db, put)
    this.#setPlace = prepareSql(this.#db, 'INSERT OR REPLACE INTO places VALUES (?, ?, ?)')
    this.#place = prepareSql<Position>(this.#db, 'SELECT partition, offset FROM places WHERE id = ?')
    this.#db.exec('BEGIN')
  }

  add(side: CopySide, record: TransferRecord): void {
    if (record.kind === 'event' || record.kind === 'turn') {
      const { correlationid, id } = record.entry.event
      if (side === 'source') this.#setPlace.run(id, record.position.partition, record.position.offset)
      const before = this.#chain.get(side, correlationid)?.digest ?? ''
      this.#setChain.run(side, correlationid, hash('sha256', before + textOfEntry(record), 'base64'))
    } else {
      const key = keyOf(record)
      if (key !== undefined) this.#setState.run(side, key, hash('sha256', textOfState(record), 'base64'))
    }
  }

  /** Where the source has the event of a record. */
  placeOf({ entry }: { readonly entry: EncodedEvent }): Position | undefined {
    return this.#place.get(entry.event.id)
  }

  /** What differs, for people: correlations and names of records. At most `limit`. */
  differences(limit: number): string[] {
    return prepareSql<{ key: string }>(
      this.#db,
      `SELECT key FROM digests GROUP BY key HAVING count(*) < 2 OR min(digest) <> max(digest) ORDER BY key LIMIT ?`,
    )
      .all(limit)
      .map(({ key }) => key)
  }

  /** One digest of everything that a log holds, the same on every broker. */
  total(side: CopySide): string {
    let total = ''
    const rows = prepareSql<{ key: string; digest: string }>(
      this.#db,
      'SELECT key, digest FROM digests WHERE side = ? ORDER BY key',
    )
    for (const { key, digest } of rows.iterate(side)) total = hash('sha256', `${total}${key}\0${digest}`, 'hex')
    return total
  }

  /** Forgets a side, which is read once more. */
  clear(side: CopySide): void {
    prepareSql(this.#db, 'DELETE FROM digests WHERE side = ?').run(side)
  }

  [Symbol.dispose](): void {
    this.#db.close()
  }
}

/** Texts as they are stored, and what a turn means to its task. */
function textOfEntry(record: Extract<TransferRecord, { kind: 'event' | 'turn' }>): string {
  if (record.kind === 'event') return record.entry.json
  const { entry, events, group, state, snapshot } = record
  const emitted = events.toSorted((a, b) => (a.event.id < b.event.id ? -1 : 1)).map(({ json }) => json)
  const isLive = state !== undefined && state !== 'ended'
  return JSON.stringify([entry.json, emitted, state ?? null, isLive ? group : null, snapshot ?? null])
}

/** Undefined for what brokers keep in different ways. */
function keyOf(record: Exclude<TransferRecord, { kind: 'event' | 'turn' }>): string | undefined {
  switch (record.kind) {
    case 'ended':
      return `ended task ${record.task}`
    case 'document':
      // One that expires may do so between two readings.
      return record.key === copyMarkKey || record.expiresAt !== undefined ? undefined : `document ${record.key}`
    case 'group':
      return `group ${record.group}`
    case 'unsettled':
    case 'deferred':
      return `${record.kind} delivery of ${record.entry.event.id} to group ${record.group}`
    case 'claim':
      // Where the event is the claim, it is among the events.
      return undefined
  }
}

function textOfState(record: Exclude<TransferRecord, { kind: 'event' | 'turn' }>): string {
  switch (record.kind) {
    case 'ended':
    case 'claim':
      return ''
    case 'document':
      // The cursors in it are those of the log on which it is.
      return hasCursor(record.key) ? '' : record.value
    case 'group':
      return JSON.stringify([record.mode, canonical(record.filter)])
    case 'unsettled':
      return JSON.stringify([record.attempts, record.memo ?? null])
    case 'deferred': {
      const { state, attempts, due, reason, key, memo } = record
      return JSON.stringify([state, attempts, due ?? null, reason, key ?? null, memo ?? null])
    }
  }
}

/** Filters that match alike, as far as clauses tell. */
const canonical = (filter: Filter) =>
  [
    ...new Set(filter.map(({ types, targets }) => JSON.stringify([types.toSorted(), targets?.toSorted() ?? null]))),
  ].toSorted()
