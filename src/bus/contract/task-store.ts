import type { CloudEvent } from '../../event.ts'
import type { Delivery, DeliveryOutcome } from './consumer-groups.ts'
import type { EncodedEvent } from './event-log.ts'

/** One turn of a task. It is accepted only if the task's version is `expect`. */
export interface Commit {
  /** The sharded group that runs the task. */
  readonly group: string
  readonly task: string
  /** The version before this turn, which acts as the fencing token. 0 for the first turn, which then has version 1. */
  readonly expect: number
  readonly turn: EncodedEvent
  readonly events: readonly EncodedEvent[]
  /** Deliveries of this group and shard. */
  readonly settle: readonly { readonly delivery: Delivery; readonly outcome: DeliveryOutcome }[]
  /** When to wake the task (ms since the epoch); null for never. Every turn says it, so that the newest turn alone decides. */
  readonly wake: number | null
  /** The state after this turn. Readers of the journal start from it. */
  readonly snapshot?: string
  /** The task is finished: it takes no more turns, and the janitor may remove its journal. */
  readonly end?: boolean
}

/** `conflict`: another process decided this version, or this process does not own the shard. Nothing was written. */
export type CommitResult = 'accepted' | 'conflict'

/** What a worker restores a task from: its snapshot and the turns after it. */
export interface TaskJournal {
  readonly snapshot?: { readonly version: number; readonly state: string }
  /** Turns after the snapshot and the events that they emitted, in order of version. */
  readonly records: readonly CloudEvent[]
}

/** A wake-up of a live task that was not served, or never will be. */
export interface MissedWake {
  /**
   * `overdue`: it was due, and no member served it. `unarmed`: the newest turn of the task waits for `due`, but the log keeps no
   * wake-up for it or a later one. That should never happen; the owner of the shard sets the wake-up again when it finds one.
   */
  readonly kind: 'overdue' | 'unarmed'
  readonly group: string
  readonly task: string
  /** Ms since the epoch. */
  readonly due: number
}

/**
 * Turns, journals and wake-ups.
 *
 * - `commit` writes all or nothing: turn, events, wake-up and snapshot. The settlements follow even after a crash, at the latest
 *   when the deliveries are repeated and the task ignores them.
 * - Two commits of one version are never both accepted, whichever members they come from, and however stale these are.
 * - The runtime commits only from the member that owns the task's shard. A driver may answer `conflict` to any other.
 * - `commit` may take as long as the broker needs to decide. It throws E_LOG_UNAVAILABLE if the result is unknown; the owner then
 *   reads the journal before it decides again.
 * - A reader may see an event before its turn, and a turn before its events. `journal` is up to date for the owner of the shard.
 * - A task is woken at `wake` or after it, never before, by the wall clock; repeatedly until its next commit; also after a restart.
 * - A task that ended takes no more turns, also after its journal was removed.
 */
export interface TaskStore {
  /** The number of shards, fixed when the log was created. */
  readonly shards: number
  commit(commit: Commit): Promise<CommitResult>
  journal(task: string): Promise<TaskJournal>
  /** The newest turn of each task of a correlation, including tasks that ended, as far as the log goes back. */
  newestTurns(correlation: string): Promise<CloudEvent[]>
  /**
   * Whether the answer to a call, or its cancellation, is on the log. False may also mean that the driver cannot tell without
   * a long search: the caller then repeats what is idempotent.
   */
  isCallSettled(call: string): Promise<boolean>
  /**
   * Publishes an event whose id announces an action that must not happen twice. False if that id was claimed before, at any time,
   * by any member. `delivery`: the request that the action serves; a driver may fence the claim by the delivery's partition.
   */
  claim(delivery: Delivery, entry: EncodedEvent): Promise<boolean>
  /** Wake-ups that were due before `before` (ms since the epoch) and were not served, and those that the log does not keep. */
  missedWakes(before: number): AsyncIterable<MissedWake>
}
