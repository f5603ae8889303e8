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
 *        ├────── discard ▶ dead ───┴─ by a person ▶ ready ──▶ redelivered, attempt 1
 *        └─ the partition moves, and the member works on ▶ held ──▶ any of these, or redelivered when that member is gone
 */

/** The value of the record. */
export interface DeferredEntry {
  /** `ready`: a person wants it to be delivered. `held`: a member that has lost the partition works on it. */
  readonly state: DeferredDelivery['state'] | 'ready' | 'held'
  readonly attempts: number
  /** Of a delayed one: when it is delivered, in ms since the epoch. */
  readonly due?: number
  readonly reason?: Reason
  readonly key?: string
  readonly memo?: string
  /** Of a held one: who has it. */
  readonly member?: string
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

export const deferredStates = 'deferred/'
export const deferredPrefix = (group: string, partition: number) =>
  `${deferredStates}${encodeURIComponent(group)}/${partition}/`
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
      if (state === 'ready' || state === 'held' || !this.#isListed(entry)) continue
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
      if (!this.#isListed(entry)) return false
      return 'id' in which ? id === which.id : entry.state === 'parked' && entry.key === which.key
    })
    await this.#store(
      chosen.map(({ key, partition, entry: { event } }) => {
        const ready: DeferredEntry = { state: 'ready', attempts: 0, event }
        return stateRecord(this.#log.names, partition, key, JSON.stringify(ready))
      }),
    )
    return chosen.length
  }

  async discard(wanted: string): Promise<boolean> {
    await this.#log.follower.freshen()
    const found = this.#all().find(({ id, entry }) => id === wanted && this.#isListed(entry))
    if (!found) return false
    await this.#store([stateRecord(this.#log.names, found.partition, found.key, null)])
    return true
  }

  /** The states of the deliveries of each group that were not settled, and need no person. */
  unsettled(): Map<string, DeferredEntry['state'][]> {
    const states = new Map<string, DeferredEntry['state'][]>()
    for (const { group, entry } of this.#all())
      if (entry.state !== 'dead' && entry.state !== 'parked')
        states.set(group, [...(states.get(group) ?? []), entry.state])
    return states
  }

  /** It is not in flight, and does not wait for a member. */
  #isListed({ state, due = 0 }: DeferredEntry): boolean {
    return state === 'dead' || state === 'parked' || (state === 'delayed' && due > this.#log.now())
  }

  #all(): StoredEntry[] {
    return this.#log.index.statesOf(deferredStates).map(({ key, partition, offset, value }) => ({
      key,
      id: `${offset}-${partition}`,
      partition,
      group: decodeURIComponent(key.slice(deferredStates.length).split('/')[0]!),
      entry: JSON.parse(value) as DeferredEntry,
    }))
  }

  async #store(records: readonly OutRecord[]): Promise<void> {
    if (records.length > 0) await this.#log.publisher.store(records)
  }
}
