import type { CloudEvent } from '../../event.ts'
import type { Reason } from '../reason.ts'

/** A delivery that was set aside: delayed, parked or dead. */
export interface DeferredDelivery {
  /** Names the entry until it is redelivered or discarded. Short enough to be typed. */
  readonly id: string
  readonly state: 'dead' | 'parked' | 'delayed'
  readonly group: string
  readonly attempts: number
  readonly reason: Reason
  readonly key?: string
  readonly event: CloudEvent
}

/**
 * Deliveries that are not in flight and not settled: dead, parked, or delayed until their retry is due.
 *
 * - Every member lists all of them, also after a restart.
 * - The janitor keeps their events.
 * - A redelivered entry starts with attempt 1 and no memo. It leaves the list at once and is handed out soon, also if its group gets
 *   a member only later.
 */
export interface DeadLetters {
  listDeferred(): AsyncIterable<DeferredDelivery>
  /** By `id`: that entry. By `key`: everything that is parked under the key. Returns how many there were. */
  redeliver(which: { id: string } | { key: string }): Promise<number>
  /** Ends the delivery permanently. False if there is no such entry. */
  discard(id: string): Promise<boolean>
}
