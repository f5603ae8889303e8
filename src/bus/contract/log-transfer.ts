import type { DeferredDelivery } from './dead-letters.ts'
import type { ConsumerGroup } from './consumer-groups.ts'
import type { EncodedEvent, Position } from './event-log.ts'

/** An event that no turn on the log emitted. */
export interface EventRecord {
  readonly kind: 'event'
  /** Where it is on the log that is exported. */
  readonly position: Position
  readonly entry: EncodedEvent
}

/** A turn of a task with what it emitted. */
export interface TurnRecord {
  readonly kind: 'turn'
  readonly position: Position
  readonly task: string
  readonly version: number
  readonly entry: EncodedEvent
  /** What it emitted, as far as it is on the log: events with ids of their own (`emitId`), then the cancellations of calls. */
  readonly events: readonly EncodedEvent[]
  /** The sharded group that runs the task; undefined where the broker no longer knows it because the task has ended. */
  readonly group?: string
  /** Only of the newest turn of a task: how it stands. */
  readonly state?: 'ended' | { readonly wake: number | null }
  /** Only of one turn of a live task: the newest snapshot, which is the state after this turn. */
  readonly snapshot?: string
}

/** A delivery that a group has neither settled nor deferred: never handed out, or in the hands of a member that died. */
export interface UnsettledRecord {
  readonly kind: 'unsettled'
  readonly group: string
  readonly entry: EncodedEvent
  /** How often it was handed out, as far as the broker knows. */
  readonly attempts: number
  readonly memo?: string
}

/** A delivery that was set aside. */
export interface DeferredRecord extends Omit<DeferredDelivery, 'id' | 'event'> {
  readonly kind: 'deferred'
  readonly entry: EncodedEvent
  /** Only of `delayed`: when it is delivered again, in ms since the epoch. */
  readonly due?: number
  readonly memo?: string
}

/** A part of what a log holds, in words that every broker has. */
export type TransferRecord =
  | EventRecord
  | TurnRecord
  /** A task that has ended and whose first turn is no longer on the log: it must not start again. */
  | { readonly kind: 'ended'; readonly task: string }
  /** The id of an event that was published by `claim`. */
  | { readonly kind: 'claim'; readonly id: string }
  /** `expiresAt`: ms since the epoch. */
  | { readonly kind: 'document'; readonly key: string; readonly value: string; readonly expiresAt?: number }
  | ({ readonly kind: 'group' } & Pick<ConsumerGroup, 'group' | 'mode' | 'filter' | 'limit'>)
  | UnsettledRecord
  | DeferredRecord

/**
 * Moves a log to another broker. A driver may leave this out; its logs can then not be copied.
 *
 * - Both logs have no members and no other writer meanwhile.
 * - `exportRecords` yields first the events and turns, each id once, those of one correlation in their order, and those of several
 *   partitions by the time of the event; then everything else, and each group before its deliveries. It changes nothing that a worker
 *   would notice. It rejects with E_COPY_REFUSED if it finds that a member still holds deliveries.
 * - `importRecords` is repeated after an interruption, with the same records or with more of them. It leaves the events that are on the
 *   log, and replaces what an earlier import left of groups and deliveries. When it resolves, a worker finds what it would have found on
 *   the exported log: what was settled is never delivered, what was not is, in the order of the log.
 * - Blobs are not among the records: the caller puts them into `blobs` first.
 * - Every offset of the imported log is greater than `above`, and its horizon covers `above` in every partition. So a cursor of the old log
 *   is found to be one. A broker that chooses offsets itself cannot promise this; its page says so.
 */
export interface LogTransfer {
  /** Groups with members, as far as the broker knows. */
  busyGroups(): Promise<string[]>
  exportRecords(): AsyncIterable<TransferRecord>
  importRecords(records: AsyncIterable<TransferRecord>, above: number): Promise<void>
}
