import type { TidingsError } from '../../errors.ts'

/** What a publish that resolved survives, as the broker itself reports. */
export interface Durability {
  readonly survives: 'nothing' | 'process' | 'power'
  /** For people: the settings that this was read from. */
  readonly detail: string
  /** For people: what else about the settings or the version of the broker they should know, and what to do. */
  readonly notices?: readonly string[]
}

/** How long events stay that no task and no group needs. */
export interface Retention {
  /** Events older than this many ms go, unless a live task or a group needs them. */
  readonly maxAgeMs: number
  /** A group that is further behind than this many events no longer holds back the janitor; it is reported instead. */
  readonly maxLag: number
}

/** What a purge removed. */
export interface PurgeResult {
  readonly events: number
  /** What keeps the oldest events that are left, for people: `task …`, `group …`, `age`. */
  readonly heldBy: string
}

/**
 * `partitions`: those whose events are lost, by number; undefined if the whole log is a new one, whose offsets start again. The
 * offsets of a partition that was lost alone go on above the old ones.
 */
export type EmptiedCallback = (partitions?: readonly number[]) => void

/**
 * Operations.
 *
 * - `close` waits for the calls that were made before it. Closing twice is closing once. After it, every call rejects with E_BUS_CLOSED,
 *   except that signals are dropped silently.
 * - `purge` never removes what a live task, a group within `maxLag`, or a deferred delivery needs.
 * - `problem` is set while calls would fail because the broker is away, and cleared when it is back. Reading it makes no request.
 * - A broker that lost its data is set up again by the driver; then `onEmptied` calls back, once.
 */
export interface LogAdmin {
  /** The log was opened to be read: writes reject with E_LOG_READ_ONLY. */
  readonly isReadOnly?: boolean
  /** Why the log cannot be used now, as far as that is known without asking the broker. */
  readonly problem?: TidingsError | undefined
  /** The broker lost data: what was stored at start (groups, definitions) must be stored again. Returns the function that removes the callback. */
  onEmptied?(callback: EmptiedCallback): () => void
  purge(retention: Retention): Promise<PurgeResult>
  durability(): Promise<Durability>
  close(): Promise<void>
}
