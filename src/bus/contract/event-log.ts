import type { CloudEvent } from '../../event.ts'
import type { Filter } from '../../pattern.ts'

/** An event and its JSON text. The bus encodes once; drivers store the text as it is. */
export interface EncodedEvent {
  readonly event: CloudEvent
  readonly json: string
}

/** The place of one event. Offsets are positive integers that increase within their partition, with gaps. */
export interface Position {
  readonly partition: number
  readonly offset: number
}

/**
 * A place in the whole log: "everything that was handed to me before this". Opaque, except for `src/bus/cursor.ts`, which drivers and
 * the runtime use to make, read and compare cursors. `beginning` covers nothing.
 */
export type Cursor = string

/** An event with its position on the log. */
export interface StoredEvent {
  readonly position: Position
  readonly event: CloudEvent
}

/** An event as a reading hands it out. */
export interface LogEntry extends StoredEvent {
  /** Covers everything that this reading handed out, up to and including this entry, and what the reading started after. */
  readonly cursor: Cursor
}

/** Where an event is stored, and whether it was before. */
export interface AppendResult {
  readonly position: Position
  /** The driver knows that the id is on the log already. Nothing was written; `position` is that of the first event. */
  readonly duplicate: boolean
}

/** Which events to read, and from where. A reader that has enough stops. */
export type LogQuery =
  | { readonly after?: Cursor; readonly until?: Cursor; readonly filter?: Filter }
  | { readonly correlation: string; readonly after?: Cursor; readonly until?: Cursor }
  | { readonly task: string }

/**
 * Append and read.
 *
 * - A publish that resolved is durable as `durability()` says. The publishes of one member are stored in the order of its calls.
 * - A batch of up to 1,000 entries of one correlation is written whole or not at all. A batch of several correlations is written in order
 *   within each correlation; if it rejects, the beginning of each may be stored, and the caller publishes the same batch again.
 * - An id that the driver recognises is stored once. How far back it recognises ids is its own choice, and its page says so.
 *   Beyond that an event may be stored twice; receivers are idempotent.
 * - The events of one correlation are in one partition. Order is promised within one correlation only: a reading may interleave
 *   partitions in any way.
 * - A reading that starts after the cursor of an entry, with the same filter, yields what the first one would have yielded next: nothing is
 *   lost and nothing is repeated. A cursor that is malformed, or has more partitions than the log, rejects with E_REQUEST_INVALID.
 * - `get`, `readAt`, `read` and `head` see everything that was acknowledged to any member before the call. They may wait for it.
 * - `horizon` never moves back. It moves before `purge` removes anything, so that a reading that looks at it after an entry knows whether the
 *   entries before that one were complete.
 * - `read` and `follow` run at the pace of their reader, in bounded memory, and block no other call.
 */
export interface EventLog {
  /** Fixed when the log is created, the same for every member. */
  readonly partitions: number
  publish(entries: readonly EncodedEvent[]): Promise<AppendResult[]>
  /** `correlation`: that of the event. A driver without an index of ids looks only there. */
  get(id: string, correlation: string): Promise<StoredEvent | undefined>
  /** `after`: only what this cursor does not cover. `until`: only what this one covers. */
  read(query: LogQuery): AsyncIterable<LogEntry>
  /** The events at these positions, in the order of the argument. Undefined where there is none, or none any more. */
  readAt(positions: readonly Position[]): Promise<(StoredEvent | undefined)[]>
  /** Covers every event that is on the log now; `beginning` for an empty log. */
  head(): Promise<Cursor>
  /** Covers every event that a purge has removed, or that the broker lost. What it does not cover is complete. */
  horizon(): Promise<Cursor>
  /** Every event that a cursor does not cover, by any writer, once. Goes on with what is published next, until the signal aborts. */
  follow(after: Cursor, filter: Filter | undefined, signal: AbortSignal): AsyncIterable<LogEntry>
}
