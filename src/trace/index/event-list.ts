import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { compactCursor, formatCursor, offsetsOf, readCursor } from '../../bus/cursor.ts'
import type { Position } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { prepareSql } from '../../bus/sql.ts'
import { compileFilter } from '../../pattern.ts'
import { namesTurns, turnType } from '../../tasks/turn.ts'
import { isFailureType } from '../outcome.ts'
import { indexedUpTo } from './catch-up.ts'
import { Conditions, keyOfName, keysInJson } from './conditions.ts'
import { keysOf, unpack } from './packed.ts'
import type { EventFilter, IndexReader, ListPage } from './rows.ts'
import { typeKeys } from './types.ts'
import { queryOf } from './words.ts'

/*
 * Events, newest first. Each partition is read from its end in windows of positions, and the partitions are merged by time. So a cursor says
 * what is left: all that it covers. A selective filter makes the windows grow, and other work of the process runs between them.
 */

/** Which events `e`. */
interface EventQuery {
  readonly from: string
  /** The position of an event. */
  readonly key: string
  readonly only: Conditions
  /** They find few events without windows. */
  readonly isSelective: boolean
}

export interface EventPage {
  /** `cursor` covers the event and all that are listed after it, so a stream after it shows what is listed before. */
  readonly events: readonly { readonly position: Position; readonly cursor: string }[]
  /** Covers what is left; absent at the end. A page may have fewer events than its limit, or none, and go on. */
  readonly next?: string
}

interface Match {
  readonly pos: number
  readonly time: number
}

const firstWindow = 16_384
/** A window that took less than this is followed by a larger one. */
const maxWindowMs = 8
/** How long one page is searched for, in ms. */
const maxPageMs = 2_000

interface EventListOptions {
  readonly reader: IndexReader
  readonly filter: EventFilter
  readonly page: ListPage
}

/** Events, newest first. @throws E_REQUEST_INVALID for a `before` of another log, E_USAGE if the text has no words */
export async function listEvents(db: DatabaseSync, partitions: number, options: EventListOptions): Promise<EventPage> {
  const { reader, filter, page } = options
  const { before, limit } = page
  const query = eventQuery(db, reader, filter)
  const start = before === undefined ? indexedUpTo(db) : readCursor(before)
  const until = performance.now() + maxPageMs
  const rows = Math.ceil((2 * limit) / partitions) + 1
  const readers = offsetsOf(start, partitions).map(
    (offset, partition) => new PartitionReader(db, query, { partition, offset, limit: rows }),
  )
  const cursor = () => compactCursor(formatCursor(readers.map(({ left }) => left)))
  const events: { position: Position; cursor: string }[] = []
  while (events.length < limit) {
    for (const reader of readers)
      while (reader.mustRead && performance.now() < until) {
        reader.readWindow()
        await setImmediate()
      }
    if (readers.some(reader => reader.mustRead)) break
    const newest = readers.reduce((a, b) => (isNewer(b.first, a.first) ? b : a))
    if (!newest.first) return { events }
    events.push({ position: unpack(newest.first.pos), cursor: cursor() })
    newest.take()
  }
  return { events, next: cursor() }
}

function eventQuery(db: DatabaseSync, reader: IndexReader, filter: EventFilter): EventQuery {
  const { types, source, user, task, correlation = task && correlationOf(task), text, failed, since, until } = filter
  const path = correlation ? 'correlation' : text ? 'text' : user ? 'user' : types || failed ? 'type' : 'tenant'
  // The unary plus keeps SQLite from the index of another column.
  const column = (name: string) => (path === name ? `e.${name}` : `+e.${name}`)
  const matches = types ? compileFilter([{ types }]) : () => true
  const turns = namesTurns(types ?? [])
  const isShown = (type: string) =>
    reader.mayRead(type) && matches({ type }) && (turns || type !== turnType) && (!failed || isFailureType(type))
  const only = new Conditions()
    .only('e.correlation = (SELECT key FROM correlations WHERE id = ?)', correlation)
    .only('e.task = (SELECT t.key FROM tasks t WHERE t.correlation = e.correlation AND t.hash = ?)', task?.slice(37))
    .only('w.words MATCH ?', text === undefined ? undefined : queryOf(text))
    .only(`${column('user')} = ${keyOfName}`, user)
    .only(`${column('type')} IN ${keysInJson}`, JSON.stringify(typeKeys(db, isShown)))
    .only(`${column('tenant')} = ${keyOfName}`, reader.tenant)
    .only(`+e.source = ${keyOfName}`, source)
    .only('e.time >= ?', since)
    .only('e.time <= ?', until)
  const from = text === undefined ? 'events e' : 'words w CROSS JOIN events e ON e.pos = w.rowid'
  return { from, key: text === undefined ? 'e.pos' : 'w.rowid', only, isSelective: correlation !== undefined }
}

const isNewer = (a: Match | undefined, b: Match | undefined) =>
  a !== undefined && (b === undefined || a.time > b.time || (a.time === b.time && a.pos > b.pos))

/** Reads one partition from its end. */
class PartitionReader {
  readonly #sql: (above: number, upTo: number) => Match[]
  readonly #low: number
  readonly #bottom: number
  readonly #limit: number
  #window: number
  /** What is above this key was read. */
  #upTo: number
  #matches: Match[] = []

  constructor(db: DatabaseSync, query: EventQuery, at: { partition: number; offset: number; limit: number }) {
    const { from, key, only, isSelective } = query
    const sql = `SELECT e.pos, e.time FROM ${from} WHERE ${key} > ? AND ${key} <= ? AND ${only.sql} ORDER BY ${key} DESC LIMIT ?`
    const statement = prepareSql<Match>(db, sql)
    this.#sql = (above, upTo) => statement.all(above, upTo, ...only.values, at.limit)
    this.#limit = at.limit
    const { low, high } = keysOf(at.partition)
    this.#low = low
    this.#upTo = low + at.offset
    const first = prepareSql<{ pos: number }>(
      db,
      'SELECT pos FROM events WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT 1',
    )
    this.#bottom = first.get(low, high)?.pos ?? Infinity
    this.#window = isSelective ? Infinity : firstWindow
  }

  get first(): Match | undefined {
    return this.#matches[0]
  }

  get mustRead(): boolean {
    return this.#matches.length === 0 && this.#upTo >= this.#bottom
  }

  /** The offset up to which nothing was taken. */
  get left(): number {
    return (this.first?.pos ?? Math.max(this.#low, this.#upTo)) - this.#low
  }

  readWindow(): void {
    const begun = performance.now()
    const above = Math.max(this.#bottom - 1, this.#upTo - this.#window)
    this.#matches = this.#sql(above, this.#upTo)
    this.#upTo = this.#matches.length < this.#limit ? above : this.#matches.at(-1)!.pos - 1
    if (performance.now() - begun < maxWindowMs) this.#window *= 4
  }

  take(): void {
    this.#matches.shift()
  }
}
