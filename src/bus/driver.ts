import type { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Filter } from '../pattern.ts'

/*
 * The contract between the bus and a broker. Drivers stay dumb: they store, hand out and settle. Validation, limits,
 * retries and telemetry belong to the bus.
 *
 * A *group* is a set of processes that share work. Events of a *shared* group go to whichever member has room (tools,
 * models). Events of a *sharded* group go to the one member that owns the shard of the event's correlation (tasks).
 * Both are at-least-once: an event may be handed out again after its member died, stopped beating, or the transaction
 * that settled it was lost. Receivers must be inert by structure.
 *
 * A delivery ends in exactly one outcome, from a closed vocabulary:
 *
 *     handed out ─┬─ done                      gone
 *                 ├─ retry(after)              handed out again, attempt + 1, holding no slot meanwhile
 *                 ├─ discard(reason)           kept as `dead` on the attention list
 *                 ├─ park(reason, key?)        kept as `parked` until released; never retried by itself
 *                 └─ (member dies)             handed out again, attempt + 1
 */

/** An event and its JSON text; the bus encodes once and drivers store the text as it is. */
export interface Entry {
  readonly event: CloudEvent
  readonly json: string
}

/** Where an event lies in the log: a positive integer, strictly increasing, with gaps. */
export type Position = number

export interface Stored {
  readonly position: Position
  readonly event: CloudEvent
}

export interface Appended {
  readonly position: Position
  /**
   * The id was on the log already; nothing was written, `position` is that of the first. As far back as the broker knows ids
   * (`docs/nats.md`): beyond that an event may be stored twice, and receivers are inert to it.
   */
  readonly duplicate: boolean
}

export type Outcome =
  | { readonly kind: 'done' }
  /** `memo`: given to the next delivery of the event, also when a worker dies in between. Printable ASCII, at most 256. */
  | { readonly kind: 'retry'; readonly after: number; readonly reason: string; readonly memo?: string }
  | { readonly kind: 'discard'; readonly reason: string }
  | { readonly kind: 'park'; readonly reason: string; readonly key?: string }

/** The acknowledgement travels with the message. */
export interface Delivery {
  readonly group: string
  /** This delivery's own: no other receiver in this process has the same object. */
  readonly event: CloudEvent
  /** 1 for the first time. A broker that does not count hand-outs may miss deaths of members, never retries. */
  readonly attempt: number
  /** Milliseconds since the epoch at which the event became available to the group, as far as the broker knows. */
  readonly since: number
  /** What the last retry left. A release by hand clears it. */
  readonly memo?: string | undefined
  /** Ends the delivery; `events` are published with it, atomically where the driver declares `atomicSettle`. */
  settle(outcome: Outcome, events?: readonly Entry[]): Promise<void>
}

/** A group, whoever its members are. */
export interface Group {
  readonly group: string
  readonly filter: Filter
  readonly mode: 'shared' | 'sharded'
  /** Shared groups: most deliveries held by all members together. */
  readonly limit?: number
  /** Where a group that does not exist yet starts. Existing groups go on where they were. */
  readonly from: 'now' | 'beginning'
}

export interface Subscription extends Group {
  /** Most deliveries that this process holds at once. */
  readonly inFlight: number
  /** Called without waiting for the previous call's end. Must not throw. */
  onDelivery(delivery: Delivery): void
  /** Sharded groups: a task asked to be woken at `due` and it is due. Repeated until the task commits. */
  onWake?(task: string, due: number): void
  /** Sharded groups: this process does not own the shard any more, or a write failed; forget what was cached of it. */
  onLost?(shard: number): void
}

export interface Consumer {
  /** Takes no more deliveries; those in hand may still be settled. */
  pause(): void
  /** Gives back its shards and what it holds unsettled. */
  close(): Promise<void>
}

/**
 * One turn of a task: accepted only when the task's head is `expect`. All or nothing: the turn, the events, the
 * settlement (where `atomicSettle`), the wake-up and the snapshot.
 */
export interface Commit {
  readonly group: string
  readonly task: string
  /** The version before this turn; 0 for the first turn, which then has version 1. */
  readonly expect: number
  readonly turn: Entry
  readonly events: readonly Entry[]
  readonly settle: readonly { readonly delivery: Delivery; readonly outcome: Outcome }[]
  /**
   * Wake the task at this moment (ms since the epoch), or not at all. Every turn says it, so that the newest turn alone decides
   * and whoever has seen only a part of the log cannot be wrong about it.
   */
  readonly wake: number | null
  /** The state after this turn, from which the journal can be read instead of from its start. */
  readonly snapshot?: string
  /** The task is finished: its journal no longer holds back retention. */
  readonly end?: boolean
}

/**
 * `conflict`: somebody else decided this version, or this process does not own the shard (some brokers take turns from its
 * owner only). Nothing was written. Readers may see an event before its turn, and a turn before its events.
 */
export type CommitResult = 'accepted' | 'conflict'

export interface Journal {
  readonly snapshot?: { readonly version: number; readonly state: string }
  /** Turns after the snapshot and the events they emitted, in order of version. */
  readonly records: readonly CloudEvent[]
}

export type Query =
  | { readonly after?: Position; readonly until?: Position; readonly filter?: Filter; readonly limit?: number }
  | { readonly correlation: string; readonly after?: Position; readonly until?: Position }
  | { readonly task: string }

export interface Attention {
  /** Names the entry until it is released or dropped; short enough to be typed. */
  readonly id: string
  readonly state: 'dead' | 'parked' | 'delayed'
  readonly group: string
  readonly attempts: number
  readonly reason: string
  readonly key?: string
  readonly event: CloudEvent
}

/** A wake-up of a live task that did not come, or would not. */
export interface MissedWake {
  /**
   * `unarmed`: the task waits for `due` by its newest turn, while the log keeps no wake-up for it or a later one. There should be
   * none; the owner of the shard sets the wake-up again when it finds one.
   */
  readonly kind: 'overdue' | 'unarmed'
  readonly group: string
  readonly task: string
  /** In ms since the epoch. */
  readonly due: number
}

export interface GroupState {
  readonly group: string
  readonly mode: 'shared' | 'sharded'
  /** Events that match and are not settled, in flight ones included; at most so many where the broker filters coarsely. */
  readonly lag: number
  readonly inFlight: number
}

/** What a publish that resolved survives, as the broker itself says. */
export interface Durability {
  readonly survives: 'nothing' | 'process' | 'power'
  /** For people: the settings that this was read from. */
  readonly detail: string
}

export interface Retention {
  /** Purge what is older than this many milliseconds, and held by no live task and no group. */
  readonly age: number
  /** A group that is more than this many events behind no longer holds back the janitor; it is reported instead. */
  readonly maxLag: number
}

export interface Purged {
  readonly events: number
  readonly horizon: Position
  /** What holds the horizon back, for people: `task …`, `group …`, `age`. */
  readonly heldBy: string
}

export interface Capabilities {
  /** `settle` with events, and `commit` with settlements, are one transaction; otherwise events first, then settlement. */
  readonly atomicSettle: boolean
  /** `limit` of a shared group is exact over all members. */
  readonly exactLimit: boolean
  /** Several processes may use one log. */
  readonly shared: boolean
}

export interface Driver {
  readonly name: string
  readonly capabilities: Capabilities
  /** The number of shards of this log, fixed when the log was made. */
  readonly shards: number
  /** It was opened to be read: what would write is refused. */
  readonly isReadOnly?: boolean
  /** Why the log cannot be used now, as far as that is known without asking the broker. */
  readonly problem?: TidingsError | undefined
  /**
   * Calls back when the broker came back without its data and the log was made anew: what was put there at the start
   * must be put there again, and positions begin again. Returns the unsubscribe.
   */
  onEmptied?(callback: () => void): () => void

  /** Resolves when the entries are on disk as `durability()` says. A batch, of up to 1,000, is written whole or not at all. */
  publish(entries: readonly Entry[]): Promise<Appended[]>
  commit(commit: Commit): Promise<CommitResult>
  subscribe(subscription: Subscription): Promise<Consumer>
  /** Makes the group without joining it: what is published from now on waits for its first member. One that is there stays. */
  provision(group: Group): Promise<void>

  /** `correlation`: that of the event, where it is known; brokers without an index of ids find it sooner by it. */
  get(id: string, correlation?: string): Promise<Stored | undefined>
  /**
   * Whether the answer to a call, or its withdrawal, is on the log. False may also mean that the broker cannot tell without
   * a long search: whoever asks then does again what is harmless to do twice.
   */
  isSettled(call: string): Promise<boolean>
  /**
   * Publishes an event whose id says that something is about to be done which must not be done twice. False when that id
   * was claimed before, however long ago.
   */
  claim(entry: Entry): Promise<boolean>
  read(query: Query): AsyncIterable<Stored>
  /** The events at these positions, in this order; undefined where there is none (any more). */
  at(positions: readonly Position[]): Promise<(Stored | undefined)[]>
  /** Position of the newest event, 0 for an empty log. */
  head(): Promise<Position>
  /**
   * Everything after a position, then whatever comes, whoever writes it, once and in order, at the reader's own pace and in
   * bounded memory, until the signal aborts.
   */
  follow(after: Position, filter: Filter | undefined, signal: AbortSignal): AsyncIterable<Stored>
  journal(task: string): Promise<Journal>
  /** The newest turn of each task of a correlation, also of those that ended, as far as the log goes back. */
  newestTurns(correlation: string): Promise<CloudEvent[]>

  /** Content-addressed: the reference is `sha256-` and the hex digest. Durable when it resolves. */
  putBlob(tenant: string, bytes: Uint8Array): Promise<string>
  getBlob(tenant: string, ref: string): Promise<Uint8Array | undefined>

  /** Small named documents outside the log (pauses, definitions). `expect` is the revision seen, 0 for none. */
  getDocument(key: string): Promise<{ revision: number; value: string } | undefined>
  /** The new revision; 0 when somebody else was faster. */
  putDocument(key: string, value: string, expect: number): Promise<number>

  /** Signals are not kept: whoever listens now, in any process, hears them or does not. */
  signal(event: CloudEvent): void
  onSignal(callback: (event: CloudEvent) => void): () => void

  groups(): Promise<GroupState[]>
  /** Whether a group has a member, in any process, that is alive as far as the broker knows. */
  hasMembers(group: string): Promise<boolean>
  attention(): AsyncIterable<Attention>
  /** Hands the entries out again (attempt 1), or drops them. By `key`: everything parked under it. */
  release(which: { id: string } | { key: string }): Promise<number>
  drop(id: string): Promise<boolean>
  /** Wake-ups that were due before `before` (ms since the epoch) and that nobody has served, and those that are not kept. */
  missedWakes(before: number): AsyncIterable<MissedWake>

  janitor(retention: Retention): Promise<Purged>
  durability(): Promise<Durability>
  close(): Promise<void>
}
