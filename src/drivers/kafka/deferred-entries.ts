import type { DeferredDelivery } from '../../bus/driver.ts'
import { readReason, type Reason } from '../../bus/reason.ts'
import type { CloudEvent } from '../../event.ts'
import type { KafkaLog } from './kafka-log.ts'
import { stateRecord, type OutRecord } from './records.ts'

/*
 * A deferred delivery is a record of the state with the key `deferred/GROUP/PARTITION/OFFSET`. For the offsets of the group the event is
 * settled. The owner of the partition redelivers it from the record, which stays until that delivery ends.
 *
 *   in flight ── retry ──▶ delayed ── due ────────▶ redelivered
 *        ├────── park ───▶ parked ─┐
 *        └────── discard ▶ dead ───┴─ by a person ▶ ready ──▶ redelivered, attempt 1
 */

/** The value of the record. */
export interface DeferredEntry {
  /** `ready`: a person wants it to be delivered. */
  readonly state: DeferredDelivery['state'] | 'ready'
  readonly attempts: number
  /** Of a delayed one: when it is delivered, in ms since the epoch. */
  readonly due?: number
  readonly reason: Reason
  readonly key?: string
  readonly memo?: string
  /** JSON. */
  readonly event: string
  /** Names the owner that wrote it, which knows about it already. */
  readonly by?: string
}

interface StoredEntry {
  readonly key: string
  readonly id: string
  readonly partition: number
  readonly group: string
  readonly entry: DeferredEntry
}

const prefix = 'deferred/'
export const deferredPrefix = (group: string, partition: number) =>
  `${prefix}${encodeURIComponent(group)}/${partition}/`
export const deferredKey = (group: string, partition: number, offset: number) =>
  `${deferredPrefix(group, partition)}${offset}`
export const deferredOffset = (key: string) => Number(key.slice(key.lastIndexOf('/') + 1))

/** The deferred deliveries of all groups, as any member sees and changes them. */
export class DeferredEntries {
  readonly #log: KafkaLog

  constructor(log: KafkaLog) {
    this.#log = log
  }

  async *list(): AsyncGenerator<DeferredDelivery> {
    await this.#log.follower.freshen()
    for (const { id, group, entry } of this.#all()) {
      const { state, attempts, reason, key, event } = entry
      if (state === 'ready' || this.#isDue(entry)) continue
      yield {
        id,
        state,
        group,
        attempts,
        reason: readReason(reason),
        ...(key !== undefined && { key }),
        event: JSON.parse(event) as CloudEvent,
      }
    }
  }

  async redeliver(which: { id: string } | { key: string }): Promise<number> {
    await this.#log.follower.freshen()
    const chosen = this.#all().filter(({ id, entry }) => {
      if (entry.state === 'ready' || this.#isDue(entry)) return false
      return 'id' in which ? id === which.id : entry.state === 'parked' && entry.key === which.key
    })
    await this.#store(
      chosen.map(({ key, partition, entry: { reason, event } }) => {
        const ready: DeferredEntry = { state: 'ready', attempts: 0, reason, event }
        return stateRecord(this.#log.names, partition, key, JSON.stringify(ready))
      }),
    )
    return chosen.length
  }

  async discard(wanted: string): Promise<boolean> {
    await this.#log.follower.freshen()
    const found = this.#all().find(({ id, entry }) => id === wanted && entry.state !== 'ready' && !this.#isDue(entry))
    if (!found) return false
    await this.#store([stateRecord(this.#log.names, found.partition, found.key, null)])
    return true
  }

  /** How many deliveries of each group wait to be delivered again. */
  countWaiting(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const { group, entry } of this.#all())
      if (entry.state === 'delayed' || entry.state === 'ready') counts.set(group, (counts.get(group) ?? 0) + 1)
    return counts
  }

  /** It is in flight, or waits for a member. */
  #isDue({ state, due = 0 }: DeferredEntry): boolean {
    return state === 'delayed' && due <= this.#log.now()
  }

  #all(): StoredEntry[] {
    return this.#log.index.statesOf(prefix).map(({ key, partition, offset, value }) => ({
      key,
      id: `${offset}-${partition}`,
      partition,
      group: decodeURIComponent(key.slice(prefix.length).split('/')[0]!),
      entry: JSON.parse(value) as DeferredEntry,
    }))
  }

  async #store(records: readonly OutRecord[]): Promise<void> {
    if (records.length > 0) await this.#log.publisher.store(records)
  }
}
