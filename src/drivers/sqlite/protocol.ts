import type { Commit, ConsumerGroup, DeliveryOutcome } from '../../bus/driver.ts'
import type { RetentionHorizon } from '../shared/retention.ts'

/*
 * What the main thread and the writer thread send each other. Both sides work with these objects; `wire.ts` packs the frequent
 * ones, because flat arrays cross threads at half the cost.
 *
 * The writer executes operations first in, first out. Each of its transactions answers with one reply, which holds the results of
 * its operations in order and the deliveries that are on disk and can go to consumers.
 */

/** An event to store. */
export interface EventRow {
  readonly id: string
  readonly type: string
  readonly target: string | null
  readonly correlation: string
  readonly json: string
  /** Fencing token of the shard whose owner received the event before it is durable; 0 if no consumer did. */
  readonly earlyToken: number
}

/** The end of a delivery. A shared group finds it by `position`, a sharded group by `eventId` and `fencingToken`. */
export interface Settlement {
  readonly consumer: number
  readonly eventId: string
  /** 0 in a sharded group. */
  readonly position: number
  /** Token by which the consumer owned the shard when it received the event; 0 in a shared group. */
  readonly fencingToken: number
  readonly outcome: DeliveryOutcome
}

export interface CommitOp extends Pick<Commit, 'group' | 'task' | 'expect' | 'wake'> {
  readonly kind: 'commit'
  readonly snapshot: string | undefined
  readonly end: boolean
  readonly settlements: readonly Settlement[]
  /** The turn, then what it emitted. */
  readonly events: readonly EventRow[]
}

export interface ProvisionOp extends Pick<ConsumerGroup, 'group' | 'mode' | 'filter' | 'from'> {
  readonly kind: 'provision'
}

export interface SubscribeOp extends Omit<ProvisionOp, 'kind'> {
  readonly kind: 'subscribe'
  readonly consumer: number
  readonly maxInFlight: number
  /** Deliveries that all members of a shared group may hold together. */
  readonly limit: number | null
}

export type WriterOp =
  | { readonly kind: 'publish'; readonly events: readonly EventRow[] }
  | { readonly kind: 'settle'; readonly settlement: Settlement; readonly events: readonly EventRow[] }
  | CommitOp
  | SubscribeOp
  | ProvisionOp
  | { readonly kind: 'pause'; readonly consumer: number }
  | { readonly kind: 'unsubscribe'; readonly consumer: number }
  | { readonly kind: 'giveBack'; readonly consumer: number; readonly position: number }
  | { readonly kind: 'restoreWake'; readonly task: string; readonly version: number; readonly wake: number }
  | {
      readonly kind: 'putDocument'
      readonly key: string
      readonly value: string
      readonly expect: number
      readonly ttlMs: number | null
    }
  | { readonly kind: 'release'; readonly id: number }
  | { readonly kind: 'releaseParked'; readonly key: string }
  | { readonly kind: 'drop'; readonly id: number }
  | { readonly kind: 'shardProgress' }
  | { readonly kind: 'horizon'; readonly age: number; readonly maxLag: number }
  | { readonly kind: 'purge'; readonly horizon: number }
  | { readonly kind: 'durability' }
  | { readonly kind: 'close' }

/** The operations of one kind. */
export type OpOf<K extends WriterOp['kind']> = Extract<WriterOp, { kind: K }>

/** What each kind of operation answers. */
export interface OpResults {
  /** Positions; that of a duplicate is negative. */
  publish: number[]
  settle: void
  /** Whether the turn was accepted. */
  commit: boolean
  subscribe: void
  provision: void
  pause: void
  unsubscribe: void
  giveBack: void
  restoreWake: boolean
  putDocument: boolean
  release: number
  releaseParked: number
  drop: boolean
  shardProgress: ShardProgress[]
  horizon: RetentionHorizon
  /** Number of events; 0 when nothing is left to purge. */
  purge: number
  durability: { journal: string; synchronous: number }
  close: void
}

export type OpResult = OpResults[keyof OpResults]

/** How far a shard is, as its owner knows and the log may not say yet. */
export interface ShardProgress {
  readonly group: string
  readonly shard: number
  /** The last position that was looked at. */
  readonly cursor: number
  readonly inFlight: number
}

/** Values of `DispatchedDelivery.since` that are no time. */
export const sinceNow = 0
export const sinceEventTime = -1

export interface DispatchedDelivery {
  readonly consumer: number
  readonly attempt: number
  /** When the event became available, in ms since the epoch, or `sinceNow` or `sinceEventTime`. */
  readonly since: number
  readonly position: number
  /** The operation of the same transaction that stores the event as its row `row`; -1 if the event is in `json`. */
  readonly op: number
  readonly row: number
  readonly json: string
  /** What the last retry left. */
  readonly memo: string | null
}

/** What a transaction reports besides the results of its operations. */
export class ReplyBuffer {
  deliveries: DispatchedDelivery[] = []
  wakes: { consumer: number; task: string; due: number }[] = []
  acquired: { consumer: number; shard: number; fencingToken: number }[] = []
  lost: { consumer: number; shard: number }[] = []
  /** Consumers that fell behind or caught up. */
  caughtUp: { consumer: number; isCaughtUp: boolean }[] = []
}

export interface WriterReply extends Readonly<ReplyBuffer> {
  readonly results: OpResult[]
  /** Whether the log has new events, from any process. */
  readonly grew: boolean
  /** Number of other open drivers on this log. */
  readonly otherMembers: number
}

export interface WriterFailure {
  readonly kind: 'failed'
  /** Operations that were sent in an earlier epoch are discarded. */
  readonly epoch: number
  readonly reason: string
  readonly code: 'E_LOG_UNAVAILABLE' | 'E_LOG_REPLACED'
}

export interface WriterOptions {
  readonly home: string
  readonly shards: number
  /** Tells this log from another one. */
  readonly log: number
  readonly leaseMs: number
  readonly synchronous: 'full' | 'off'
  /** Milliseconds that are added to the wall clock. */
  readonly clock: SharedArrayBuffer | null
}
