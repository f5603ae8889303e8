import type { DeliveryOutcome, Subscription } from '../../bus/driver.ts'
import type { Filter } from '../../pattern.ts'
import type { WireFaults } from './faults.ts'

/*
 * What crosses between the main thread and the writer thread: arrays rather than objects, texts already serialised.
 * Ops are first in, first out; each transaction of the writer answers with one reply that holds the results of its
 * ops in order, and what there is to hand out now that they are on disk.
 */

/** Entries, flat: id, type, target, correlation, json, and the ticket of the shard by which a consumer was handed it early (0: none). */
export type Rows = (string | number | null)[]
export const rowWidth = 6

/** consumer, event id, position (shared) or ticket of the shard (sharded), kind, retry after, reason, park key, memo of a retry */
export type Settlement = [number, string, number, DeliveryOutcome['kind'], number, string, string | null, string | null]

export type Op =
  | [kind: 'publish', rows: Rows]
  | [kind: 'settle', settlement: Settlement, rows: Rows]
  | [
      kind: 'commit',
      group: string,
      task: string,
      expect: number,
      wake: number | null,
      snapshot: string | undefined,
      end: boolean,
      settlements: Settlement[],
      rows: Rows,
    ]
  | [
      kind: 'subscribe',
      consumer: number,
      group: string,
      mode: Subscription['mode'],
      filter: Filter,
      window: number,
      limit: number | null,
      from: Subscription['from'],
    ]
  | [kind: 'provision', group: string, mode: Subscription['mode'], filter: Filter, from: Subscription['from']]
  | [kind: 'pause', consumer: number]
  | [kind: 'unsubscribe', consumer: number]
  | [kind: 'giveBack', consumer: number, position: number]
  | [kind: 'rearm', task: string, version: number, wake: number]
  | [kind: 'document', key: string, value: string, expect: number]
  | [kind: 'release', id: number | null, key: string | null]
  | [kind: 'drop', id: number]
  | [kind: 'groups']
  | [kind: 'horizon', age: number, maxLag: number]
  | [kind: 'purge', horizon: number]
  | [kind: 'durability']
  | [kind: 'close']

/** Rows of a publish: positions; those of duplicates negative. */
export type Result = number | boolean | null | number[] | Horizon | LocalShard[] | Settings

export interface Horizon {
  horizon: number
  heldBy: string
}

/** A sharded group as the writer knows it better than the log does: group, shard, cursor, in flight. */
export type LocalShard = [group: string, shard: number, cursor: number, inFlight: number]

export interface Settings {
  journal: string
  synchronous: number
}

/**
 * consumer, attempt, since, position, then either op index and row index within this reply's ops, or -1 and the text
 * of the event; the memo of a redelivery that has one.
 */
export type Handout = [number, number, number, number, number, number | string, (string | null)?]

export interface Reply {
  kind: 'done'
  results: Result[]
  handouts: Handout[]
  wakes: [consumer: number, task: string, due: number][]
  /** Shards won and lost since the last reply. */
  won: [consumer: number, shard: number, ticket: number][]
  lost: [consumer: number, shard: number][]
  /** Consumers that went behind or caught up. */
  caughtUp: [consumer: number, caughtUp: boolean][]
  grew: boolean
  /** Other open drivers on this log. */
  others: number
}

export interface Failure {
  kind: 'failed'
  /** Messages of earlier epochs are void. */
  epoch: number
  reason: string
  code: 'E_LOG_UNAVAILABLE' | 'E_LOG_REPLACED'
}

export type FromWriter = Reply | Failure | { kind: 'ping' }
export type ToWriter = [epoch: number, ops: Op[]]

export interface WriterOptions {
  home: string
  shards: number
  /** Tells this log from another one. */
  log: number
  leaseMs: number
  synchronous: 'full' | 'off'
  /** What is added to the wall clock, for `movedClock`. */
  clock: SharedArrayBuffer | null
  faults: WireFaults
}
