import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { compactCursor, formatCursor, offsetsOf, readCursor } from '../../bus/cursor.ts'
import type { Position } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { prepareSql } from '../../bus/sql.ts'
import { compileFilter, isType } from '../../pattern.ts'
import { namesTurns, turnType } from '../../tasks/turn.ts'
import { isFailureType } from '../outcome.ts'
import { indexedUpTo } from './catch-up.ts'
import { Conditions, keyOfName, keysInJson } from './conditions.ts'
import { keysOf, unpack } from './packed.ts'
import type { EventFilter, IndexReader, ListPage } from './rows.ts'
import { typeKeys } from './types.ts'
import { hasWords, queryOf } from './words.ts'

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
/** How long the event loop is held. A window that took less is followed by a larger one. */
const maxHeldMs = 8
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
  const start = before === undefined ? indexedUpTo(db) : readCursor(before)
  const until = performance.now() + maxPageMs
  let begun = performance.now()
  const rows = Math.ceil((2 * limit) / partitions) + 1
  const open = partitionReaders(db, eventQuery(db, reader, filter), rows)
  const readers = offsetsOf(start, partitions).map((offset, partition) => open(partition, offset))
  const cursor = () => compactCursor(formatCursor(readers.map(({ left }) => left)))
  const events: { position: Position; cursor: string }[] = []
  while (events.length < limit) {
    for (const reader of readers)
      while (reader.mustRead && performance.now() < until) {
        reader.readWindow()
        if (performance.now() - begun < maxHeldMs) continue
        await setImmediate()
        begun = performance.now()
      }
    if (readers.some(reader => reader.mustRead)) break
    const newest = readers.reduce((a, b) => (isNewer(b.first, a.first) ? b : a))
    if (!newest.first) return { events }
    events.push({ position: unpack(newest.first.pos), cursor: cursor() })
    newest.take()
  }
  return { events, next: cursor() }
}

/** The full-text query that finds the events of a filter, or more. The words of an event contain its type and source; turns have none. */
function searchedWords({ text, source, types = [] }: EventFilter): string | undefined {
  const [type] = types
  const isOneType = types.length === 1 && isType(type) && type !== turnType
  const isInWords = source !== undefined && hasWords(source) && !namesTurns(types)
  if (text === undefined && !isInWords) return undefined
  const sought = [text, isInWords ? source : undefined, isOneType ? type : undefined]
  return sought.map(each => (each === undefined ? '' : queryOf(each))).join(' ')
}

/** The calls `o` of the tasks `t`. Live tasks are few: an index finds them. */
const openCallEvents = `tasks t CROSS JOIN calls o ON o.task = t.key
  CROSS JOIN events e ON e.correlation = t.correlation AND e.task = t.key AND e.name = o.name`

function eventQuery(db: DatabaseSync, reader: IndexReader, filter: EventFilter): EventQuery {
  const { types, source, user, task, correlation = task && correlationOf(task), failed, since, until } = filter
  const { unanswered } = filter
  const words = searchedWords(filter)
  const path = unanswered
    ? 'call'
    : correlation
      ? 'correlation'
      : words
        ? 'text'
        : user
          ? 'user'
          : types || failed
            ? 'type'
            : 'tenant'
  // The unary plus keeps SQLite from the index of another column.
  const column = (name: string) => (path === name ? `e.${name}` : `+e.${name}`)
  const matches = types ? compileFilter([{ types }]) : () => true
  const turns = namesTurns(types ?? [])
  const isShown = (type: string) =>
    reader.mayRead(type) && matches({ type }) && (turns || type !== turnType) && (!failed || isFailureType(type))
  const only = new Conditions()
    .only('e.correlation = (SELECT key FROM correlations WHERE id = ?)', correlation)
    .only('e.task = (SELECT t.key FROM tasks t WHERE t.correlation = e.correlation AND t.hash = ?)', task?.slice(37))
    .only('w.words MATCH ?', words)
    .only(`${column('user')} = ${keyOfName}`, user)
    .only(`${column('type')} IN ${keysInJson}`, JSON.stringify(typeKeys(db, isShown)))
    .only(`${column('tenant')} = ${keyOfName}`, reader.tenant)
    .only(`+e.source = ${keyOfName}`, source)
    .only(`NOT o.answered AND t.end IS NULL AND o.target = ${keyOfName}`, unanswered)
    .only('e.time >= ?', since)
    .only('e.time <= ?', until)
  if (unanswered !== undefined) {
    const withWords = words === undefined ? '' : ' CROSS JOIN words w ON w.rowid = e.pos'
    return { from: openCallEvents + withWords, key: 'e.pos', only, isSelective: true }
  }
  const from = words === undefined ? 'events e' : 'words w CROSS JOIN events e ON e.pos = w.rowid'
  return { from, key: words === undefined ? 'e.pos' : 'w.rowid', only, isSelective: correlation !== undefined }
}

const isNewer = (a: Match | undefined, b: Match | undefined) =>
  a !== undefined && (b === undefined || a.time > b.time || (a.time === b.time && a.pos > b.pos))

function partitionReaders(db: DatabaseSync, { from, key, only, isSelective }: EventQuery, limit: number) {
  const matches = prepareSql<Match>(
    db,
    `SELECT e.pos, e.time FROM ${from} WHERE ${key} > ? AND ${key} <= ? AND ${only.sql} ORDER BY ${key} DESC LIMIT ?`,
  )
  const first = prepareSql<{ pos: number }>(
    db,
    'SELECT pos FROM events WHERE pos > ? AND pos <= ? ORDER BY pos LIMIT 1',
  )
  const window = isSelective ? Infinity : firstWindow
  const read = (above: number, upTo: number) => matches.all(above, upTo, ...only.values, limit)
  return (partition: number, offset: number) => {
    const { low, high } = keysOf(partition)
    const bottom = first.get(low, high)?.pos ?? Infinity
    return new PartitionReader({ low, bottom, upTo: low + offset, window, limit, read })
  }
}

interface PartitionOptions {
  readonly low: number
  /** The first event. */
  readonly bottom: number
  readonly upTo: number
  readonly window: number
  readonly limit: number
  /** The newest matches in a range of keys. */
  read(above: number, upTo: number): Match[]
}

/** Reads one partition from its end. */
class PartitionReader {
  readonly #options: PartitionOptions
  #window: number
  /** What is above this key was read. */
  #upTo: number
  #matches: Match[] = []

  constructor(options: PartitionOptions) {
    this.#options = options
    this.#window = options.window
    this.#upTo = options.upTo
  }

  get first(): Match | undefined {
    return this.#matches[0]
  }

  get mustRead(): boolean {
    return this.#matches.length === 0 && this.#upTo >= this.#options.bottom
  }

  /** The offset up to which nothing was taken. */
  get left(): number {
    const { low } = this.#options
    return (this.first?.pos ?? Math.max(low, this.#upTo)) - low
  }

  readWindow(): void {
    const begun = performance.now()
    const { bottom, limit, read } = this.#options
    const above = Math.max(bottom - 1, this.#upTo - this.#window)
    this.#matches = read(above, this.#upTo)
    this.#upTo = this.#matches.length < limit ? above : this.#matches.at(-1)!.pos - 1
    if (performance.now() - begun < maxHeldMs) this.#window *= 4
  }

  take(): void {
    this.#matches.shift()
  }
}
