import { randomUUID } from 'node:crypto'
import type { DeliveryOutcome } from '../../bus/driver.ts'
import { readDelivery } from '../../bus/malformed.ts'
import type { Reason } from '../../bus/reason.ts'
import { deferralOf } from '../shared/deferral.ts'
import { Heap } from '../shared/heap.ts'
import { deferredKey, deferredOffset, deferredPrefix, type DeferredEntry } from './deferred-entries.ts'
import type { DeliveryContent, KafkaDelivery } from './kafka-delivery.ts'
import type { KafkaLog } from './kafka-log.ts'
import type { IndexedEvent } from './local-index.ts'
import { stateRecord, type OutRecord } from './records.ts'
import { PartitionSettlement, type StoredSettlement } from './settlement.ts'

interface FeedOptions {
  readonly log: KafkaLog
  readonly group: string
  readonly partition: number
  /** As the owner before this one left it. */
  readonly stored: StoredSettlement
  readonly matches: (event: { type: string; target?: string | null }) => boolean
}

/** The next delivery of a feed, and what is wrong with its text. */
interface FedDelivery {
  readonly source: DeliveryContent
  readonly problem?: Reason | undefined
}

interface Deferred {
  readonly entry: DeferredEntry
  /** By the monotonic clock: a pause stays as long as it was when the time of day is set. */
  readonly dueAt: number
}

const pageSize = 256
/** Rows that are looked at before other work has its turn. */
const maxScan = 2_048

/** What a group has to deliver from one partition, while a member owns it: from the local index, what matches and is not settled. */
export class PartitionFeed {
  readonly partition: number
  readonly settlement: PartitionSettlement
  /** No delivery is due, but there are rows that were not looked at. */
  isBehind = false
  isClosed = false
  readonly #id = randomUUID()
  readonly #log: KafkaLog
  readonly #group: string
  readonly #matches: FeedOptions['matches']
  #rows: IndexedEvent[] = []
  /** By offset. */
  readonly #deferred = new Map<number, Deferred>()
  /** What earlier owners work on, by offset. */
  readonly #held = new Map<number, DeferredEntry>()
  /** Offsets with a record, whose progress the owner before may not have stored. */
  readonly #recorded = new Set<number>()
  readonly #due = new Heap<{ readonly offset: number; readonly deferred: Deferred }>()

  constructor({ log, group, partition, stored, matches }: FeedOptions) {
    this.#log = log
    this.#group = group
    this.partition = partition
    this.#matches = matches
    this.settlement = new PartitionSettlement(stored)
    for (const { key, value } of log.index.statesOf(deferredPrefix(group, partition))) {
      this.#recorded.add(deferredOffset(key))
      this.deferredChanged(key, value)
    }
  }

  /** How many deliveries earlier owners work on. */
  get countHeld(): number {
    return this.#held.size
  }

  /** Delivers what members held that are gone. */
  takeBackFrom(isGone: (member: string) => boolean): void {
    for (const [offset, entry] of this.#held) {
      if (!isGone(entry.member!)) continue
      this.#held.delete(offset)
      this.#defer(offset, entry, 0)
    }
  }

  /** When the next deferred delivery is due, by the monotonic clock. */
  get nextDueAt(): number {
    return this.#due.next
  }

  next(): FedDelivery | undefined {
    return this.#nextDeferred() ?? this.#nextOfLog()
  }

  /** A record of the state changed: by this owner, the one before it, or a person. */
  deferredChanged(key: string, value: string | undefined): void {
    const offset = deferredOffset(key)
    const entry = value === undefined ? undefined : (JSON.parse(value) as DeferredEntry)
    if (entry?.by === this.#id) return
    this.#deferred.delete(offset)
    this.#held.delete(offset)
    if (entry?.state === 'held') this.#held.set(offset, entry)
    if (entry?.state === 'ready') this.#defer(offset, entry, 0)
    if (entry?.state === 'delayed') this.#defer(offset, entry, entry.due! - this.#log.now())
  }

  /** The records that end a delivery, besides the progress of the group. */
  recordsOf({ offset, attempt, isRedelivery, json }: KafkaDelivery, outcome: DeliveryOutcome): OutRecord[] {
    const { index, names, now } = this.#log
    const key = deferredKey(this.#group, this.partition, offset)
    if (outcome.kind === 'done') {
      // A member that has lost the partition may have written one.
      const isStored = isRedelivery || index.state(key) !== undefined
      return isStored ? [stateRecord(names, this.partition, key, null)] : []
    }
    const { delayMs, ...rest } = deferralOf(outcome)
    const entry: DeferredEntry = {
      ...rest,
      attempts: attempt,
      ...(delayMs !== undefined && { due: now() + delayMs }),
      event: json,
      by: this.#id,
    }
    return [stateRecord(names, this.partition, key, JSON.stringify(entry))]
  }

  /** The record of a delivery that this member works on while another one has the partition, or that it does not end. */
  handOverRecord({ offset, attempt, memo, json }: KafkaDelivery, member?: string): OutRecord {
    const key = deferredKey(this.#group, this.partition, offset)
    const kept = { ...(memo !== undefined && { memo }), event: json }
    const entry: DeferredEntry =
      member === undefined
        ? { state: 'delayed', due: this.#log.now(), attempts: attempt - 1, ...kept }
        : { state: 'held', member, attempts: attempt, ...kept }
    return stateRecord(this.#log.names, this.partition, key, JSON.stringify(entry))
  }

  /** The records of a delivery are stored, or enter a transaction. */
  settled({ offset, attempt, isRedelivery, json }: KafkaDelivery, outcome: DeliveryOutcome): void {
    if (isRedelivery) this.#deferred.delete(offset)
    else this.settlement.settle(offset)
    if (outcome.kind !== 'retry') return
    const { after, reason, memo } = outcome
    const entry: DeferredEntry = {
      state: 'delayed',
      attempts: attempt,
      reason,
      ...(memo !== undefined && { memo }),
      event: json,
    }
    this.#defer(offset, entry, after)
  }

  #defer(offset: number, entry: DeferredEntry, delayMs: number): void {
    const deferred = { entry, dueAt: performance.now() + delayMs }
    this.#deferred.set(offset, deferred)
    this.#due.push(deferred.dueAt, { offset, deferred })
  }

  #nextDeferred(): FedDelivery | undefined {
    while (this.#due.next <= performance.now()) {
      const { offset, deferred } = this.#due.pop()!
      // It was discarded, or deferred in another way.
      if (this.#deferred.get(offset) !== deferred) continue
      const { event: json, attempts, memo } = deferred.entry
      const since = this.#log.index.at(this.partition, offset)?.at ?? this.#log.now()
      return this.#read({ json, offset, attempt: attempts + 1, since, memo, isRedelivery: true })
    }
    return undefined
  }

  #nextOfLog(): FedDelivery | undefined {
    this.isBehind = false
    for (let scanned = 0; scanned < maxScan; scanned++) {
      if (this.#rows.length === 0 && !this.#load()) return undefined
      const row = this.#rows.at(-1)!
      if (!this.settlement.hasRoomFor(row.offset)) return undefined
      this.#rows.pop()
      if (this.settlement.isSettled(row.offset) || !this.#matches(row)) {
        this.settlement.skipTo(row.offset)
        continue
      }
      this.settlement.openAt(row.offset)
      if (this.#recorded.has(row.offset)) {
        this.settlement.settle(row.offset)
        continue
      }
      const { offset, at: since } = row
      const json = this.#log.index.text(this.partition, offset) ?? ''
      return this.#read({ json, offset, attempt: this.settlement.attemptOf(offset), since, isRedelivery: false })
    }
    this.isBehind = true
    return undefined
  }

  /** The next rows, the first one last. */
  #load(): boolean {
    const covered = this.#log.index.covered('events', this.partition)
    this.#rows = this.#log.index.range(this.partition, this.settlement.examined, covered, pageSize).reverse()
    if (this.#rows.length === 0) this.settlement.skipTo(covered)
    return this.#rows.length > 0
  }

  #read(source: Omit<DeliveryContent, 'feed' | 'event'>): FedDelivery {
    const { partition } = this
    const { event, problem } = readDelivery(source.json, () => ({ at: { partition, offset: source.offset } }))
    return { source: { ...source, feed: this, event }, problem }
  }
}
