import type { CloudEvent } from '../../event.ts'
import type { Filter } from '../../pattern.ts'
import type { EncodedEvent } from './event-log.ts'
import type { Reason } from '../reason.ts'

/*
 *     handed out ─┬─ done                      settled
 *                 ├─ retry(after)              delivered again with attempt + 1; uses no slot while it waits
 *                 ├─ discard(reason)           kept as `dead` until a person redelivers or discards it
 *                 ├─ park(reason, key?)        kept as `parked` until it is redelivered; never retried automatically
 *                 └─ (member dies)             delivered again, attempt + 1 where the broker counts deliveries
 */

/** How a member ends a delivery. */
export type DeliveryOutcome =
  | { readonly kind: 'done' }
  /**
   * `after`: delay in ms. `memo`: given to the next delivery of the event, also if a worker dies in between. Printable ASCII,
   * at most 256 characters.
   */
  | { readonly kind: 'retry'; readonly after: number; readonly reason: Reason; readonly memo?: string }
  | { readonly kind: 'discard'; readonly reason: Reason }
  | { readonly kind: 'park'; readonly reason: Reason; readonly key?: string }

/** One hand-out of an event to a member, at least once. */
export interface Delivery {
  readonly group: string
  /** A copy of its own: no other receiver in this process has the same object. */
  readonly event: CloudEvent
  /**
   * 1 for the first delivery. Never less than 1 + the number of retries. A broker that does not count deliveries may miss deaths of
   * members, or count one for a delivery that the dead member might have held.
   */
  readonly attempt: number
  /** Ms since the epoch at which the event became available to the group, as far as the broker knows. */
  readonly since: number
  /** What the last retry left. `redeliver` clears it. */
  readonly memo?: string | undefined
  /**
   * Ends the delivery. `events` are stored before the delivery counts as settled, or together with it: after a crash in between
   * the delivery is repeated, and the events are published again under the same ids.
   */
  settle(outcome: DeliveryOutcome, events?: readonly EncodedEvent[]): Promise<void>
}

/** A group by its name: which events it gets, and how its members share them. */
export interface ConsumerGroup {
  readonly group: string
  readonly filter: Filter
  readonly mode: 'shared' | 'sharded'
  /** Shared groups: the maximum number of deliveries that all members together hold. */
  readonly limit?: number
  /** Where a new group starts. An existing group continues where it was. */
  readonly from: 'now' | 'beginning'
}

/** What a member asks for, and what it does with deliveries. */
export interface Subscription extends ConsumerGroup {
  /** Maximum number of deliveries that this member holds at once. */
  readonly maxInFlight: number
  /** Called without waiting for earlier calls. Must not throw. */
  onDelivery(delivery: Delivery): void
  /** Sharded groups: a task asked to be woken at `due`, and that time has come. Repeated until the task commits. */
  onWake?(task: string, due: number): void
  /** Sharded groups: this member no longer owns the shard, or a write failed. Forget what was cached of its tasks. */
  onLost?(shard: number): void
}

/** A member of a group, until it is closed. */
export interface Consumer {
  /** Takes no more deliveries. Those that it holds may still be settled. */
  pause(): void
  /** Gives back its shards, and the deliveries that it did not settle. */
  close(): Promise<void>
}

/** A group, its members and what it has not settled yet. */
export interface GroupState {
  readonly group: string
  readonly mode: 'shared' | 'sharded'
  /** Events that match and are not settled, including those in flight. An upper bound where the broker filters coarsely. */
  readonly lag: number
  /** Those that members have, including some that wait for room in their member. */
  readonly inFlight: number
}

/**
 * Groups of members that share work.
 *
 * - Delivery is at least once. A delivery ends in exactly one outcome, or when its member dies or stops renewing its lease.
 * - Shared mode: each event goes to any member with room. All members together never hold more than `limit`; a driver may use less
 *   of it, but no group stays without a delivery for longer than a lease.
 * - Sharded mode: each shard has one owner, which gets all events of its correlations, first deliveries in the order of the log. The
 *   shards are spread evenly over the members. A shard that moves is announced by `onLost`.
 * - A member alone owns every shard when `subscribe` resolves.
 * - A member never holds more than `maxInFlight`. Delayed, parked and dead deliveries use no slot.
 * - A group keeps its place while it has no members.
 * - Settling after the delivery was given to another member changes nothing; it may reject.
 */
export interface ConsumerGroups {
  subscribe(subscription: Subscription): Promise<Consumer>
  /** Creates the group without joining it, so that events published before the first member joins are kept. Existing groups stay. */
  createGroup(group: ConsumerGroup): Promise<void>
  /** In the order of their names. */
  listGroups(): Promise<GroupState[]>
  /** Whether the group has a member in any process, alive as far as the broker knows. */
  hasMembers(group: string): Promise<boolean>
}
