import type { CloudEvent } from '../../event.ts'
import type { Filter } from '../../pattern.ts'

/** An event and its JSON text. The bus encodes once; drivers store the text as it is. */
export interface EncodedEvent {
  readonly event: CloudEvent
  readonly json: string
}

/** Place of an event on the log: a positive integer, strictly increasing, with gaps. */
export type Position = number

export interface StoredEvent {
  readonly position: Position
  readonly event: CloudEvent
}

export interface AppendResult {
  readonly position: Position
  /** The driver knows that the id is on the log already. Nothing was written; `position` is that of the first event. */
  readonly duplicate: boolean
}

export type LogQuery =
  | { readonly after?: Position; readonly until?: Position; readonly filter?: Filter; readonly limit?: number }
  | { readonly correlation: string; readonly after?: Position; readonly until?: Position }
  | { readonly task: string }

/**
 * Append and read.
 *
 * - A publish that resolved is durable as `durability()` says. The publishes of one member are stored in the order of its calls.
 * - A batch of up to 1,000 entries of one correlation is written whole or not at all. A batch of several correlations is written
 *   in order; if it rejects, a part may be stored, and the caller publishes the same batch again.
 * - An id that the driver recognises is stored once. How far back it recognises ids is its own choice, and its page says so.
 *   Beyond that an event may be stored twice; receivers are idempotent.
 * - Order is promised within one correlation.
 * - `get`, `readAt`, `read` and `head` see everything that was acknowledged to any member before the call. They may wait for it.
 * - `read` and `follow` run at the pace of their reader, in bounded memory, and block no other call.
 */
export interface EventLog {
  publish(entries: readonly EncodedEvent[]): Promise<AppendResult[]>
  /** `correlation`: that of the event. A driver without an index of ids looks only there. */
  get(id: string, correlation: string): Promise<StoredEvent | undefined>
  read(query: LogQuery): AsyncIterable<StoredEvent>
  /** The events at these positions, in the order of the argument. Undefined where there is none, or none any more. */
  readAt(positions: readonly Position[]): Promise<(StoredEvent | undefined)[]>
  /** Position of the newest event; 0 for an empty log. */
  head(): Promise<Position>
  /** Every event after a position, by any writer, once and in order. Goes on with what is published next, until the signal aborts. */
  follow(after: Position, filter: Filter | undefined, signal: AbortSignal): AsyncIterable<StoredEvent>
}
