import type { Now } from './clock.ts'
import type { BlobStore } from './contract/blob-store.ts'
import type { ConsumerGroups } from './contract/consumer-groups.ts'
import type { DeadLetters } from './contract/dead-letters.ts'
import type { DocumentStore } from './contract/document-store.ts'
import type { EventLog } from './contract/event-log.ts'
import type { LogAdmin } from './contract/log-admin.ts'
import type { LogTransfer } from './contract/log-transfer.ts'
import type { SignalChannel } from './contract/signal-channel.ts'
import type { TaskStore } from './contract/task-store.ts'

/*
 * The contract between the bus and a broker. Drivers are simple: they store, deliver and settle. Validation, redaction, limits,
 * retries and telemetry belong to the bus. Each part below has its own rules, and its own cases in `testing/conformance/`.
 *
 *     event         a CloudEvents envelope with JSON data, immutable
 *     log           the durable record of all events, in one or more partitions
 *     position      the place of one event: its partition and its offset there
 *     cursor        a place in the whole log: everything that was handed out before it
 *     correlation   everything that descends from one event from outside
 *     shard         a fixed part of all correlations, by hash (`shardOf`); it is stored in one partition (`partitionOf`)
 *     task          one run of a program; it decides in *turns*, which its *journal* records
 *     group         consumers that share work: *shared* by any member, or *sharded* with one owner for each shard
 *     member        one subscription to a group, in any process
 *     delivery      one hand-out of an event to a member, at least once, ended by exactly one *outcome*
 *     deferred      a delivery that waits without a slot: delayed, parked or dead
 *     lease         the right of a member to own its shards, which ends unless it is renewed
 *     document      a small named value outside the log, changed by compare-and-set
 *     blob          bytes too large for an event, named by their digest
 *     signal        an event that is not stored
 */

export type * from './contract/blob-store.ts'
export type * from './contract/consumer-groups.ts'
export type * from './contract/dead-letters.ts'
export type * from './contract/document-store.ts'
export type * from './contract/event-log.ts'
export type * from './contract/log-admin.ts'
export type * from './contract/log-transfer.ts'
export type * from './contract/signal-channel.ts'
export type * from './contract/task-store.ts'
export type { Reason } from './reason.ts'

/** Receivers of deliveries must be idempotent by design: every driver delivers at least once. */
export interface Driver
  extends EventLog,
    TaskStore,
    ConsumerGroups,
    DeadLetters,
    DocumentStore,
    SignalChannel,
    LogAdmin {
  /** Name of the broker, for telemetry (`messaging.system`) and for people. */
  readonly name: string
  /** The wall clock of events and deadlines on this log. Default: that of the machine. For tests, which skip waits. */
  readonly now?: Now
  /** Undefined for a broker that cannot keep large data: the app then names a store (`start(app, { blobs })`). */
  readonly blobs?: BlobStore
  /** Undefined for a broker whose logs cannot be copied. */
  readonly transfer?: LogTransfer
}
