import { hash } from 'node:crypto'
import type { DeferredRecord, EncodedEvent, TransferRecord, TurnRecord, UnsettledRecord } from '../../../bus/driver.ts'
import { correlationOf } from '../../../bus/ids.ts'
import type { GroupDefinition } from '../group-definitions.ts'
import { type DeferredEntry, deferredKey, deferredStates } from '../deferred-entries.ts'
import type { KafkaLog } from '../kafka-log.ts'
import { stateRecord } from '../records.ts'
import { compileFilter } from '../../../pattern.ts'
import { settlementRecord } from '../committed-offsets.ts'
import { maxAboveMark, PartitionSettlement } from '../settlement.ts'
import { endedKey, snapshotKey, wakeKey } from '../task-state.ts'

const eventsAtOnce = 500
const statesAtOnce = 500

type GroupRecord = Extract<TransferRecord, { kind: 'group' }>

/**
 * Stores records. The state keeps where each group is, as for a group without members whose offsets the brokers have forgotten. Kafka chooses
 * offsets itself, so they do not begin above those of the old log.
 */
export async function importKafkaLog(log: KafkaLog, records: AsyncIterable<TransferRecord>): Promise<void> {
  await log.follower.freshen()
  const writer = new KafkaImport(log)
  await writer.clear()
  for await (const record of records) await writer.add(record)
  await writer.finish()
}

class KafkaImport {
  readonly #log: KafkaLog
  #events: EncodedEvent[] = []
  #states: { readonly partition: number; readonly key: string; readonly value: string | null }[] = []
  #group: GroupRecord | undefined
  /** Never handed out, by partition. */
  #fresh = new Map<number, number[]>()
  #isRead = false

  constructor(log: KafkaLog) {
    this.#log = log
  }

  /** Removes the deliveries that an earlier import left. */
  async clear(): Promise<void> {
    for (const { key, partition } of this.#log.index.statesOf(deferredStates)) await this.#set(partition, key, null)
    await this.#flushStates()
  }

  async add(record: TransferRecord): Promise<void> {
    switch (record.kind) {
      case 'event':
        return this.#append([record.entry])
      case 'turn':
        return this.#turn(record)
      case 'ended':
        return this.#setOf(record.task, endedKey(record.task), JSON.stringify({ version: 0 }))
      case 'claim':
        return this.#set(this.#partitionOfClaim(record.id), `claim/${record.id}`, 'imported')
      case 'document':
        return this.#document(record)
      case 'group':
        return this.#begin(record)
      case 'unsettled':
        return this.#unsettled(record)
      case 'deferred':
        return this.#deferred(record)
    }
  }

  async finish(): Promise<void> {
    await this.#flushEvents()
    await this.#endGroup()
    await this.#flushStates()
    await this.#log.follower.freshen()
  }

  async #turn({ task, version, entry, events, group, state, snapshot }: TurnRecord): Promise<void> {
    await this.#append([entry, ...events])
    if (snapshot !== undefined) await this.#setOf(task, snapshotKey(task), JSON.stringify({ version, state: snapshot }))
    if (state === 'ended') await this.#setOf(task, endedKey(task), JSON.stringify({ version }))
    else if (state)
      await this.#setOf(task, wakeKey(task), JSON.stringify({ group: group ?? '', due: state.wake, version }))
  }

  async #document({ key, value, expiresAt }: Extract<TransferRecord, { kind: 'document' }>): Promise<void> {
    const until = expiresAt === undefined ? {} : { until: expiresAt }
    const partition = this.#log.names.partitionOf(key)
    await this.#set(partition, `document/${key}`, JSON.stringify({ revision: Date.now(), value, ...until }))
  }

  async #begin(record: GroupRecord): Promise<void> {
    if (!this.#isRead) {
      await this.#flushEvents()
      await this.#log.follower.freshen()
    }
    this.#isRead = true
    await this.#endGroup()
    this.#group = record
    const { group, mode, filter } = record
    const partition = this.#log.names.partitionOf(group)
    const name = encodeURIComponent(group)
    const starts = Array.from({ length: this.#log.names.partitions }, () => 0)
    const definition: Omit<GroupDefinition, 'group'> = { mode, starts }
    const digest = hash('sha256', JSON.stringify(filter), 'hex').slice(0, 16)
    await this.#set(partition, `start/${name}`, JSON.stringify(definition))
    await this.#set(partition, `filter/${name}/${digest}`, JSON.stringify(filter))
  }

  /** An event that was handed out before is set aside, so that its attempts stay; it is due at once. */
  async #unsettled({ group, entry, attempts, memo }: UnsettledRecord): Promise<void> {
    const place = this.#placeOf(entry)
    if (!place) return
    if (attempts === 0 && memo === undefined) {
      const fresh = this.#fresh.get(place.partition)
      if (fresh) fresh.push(place.offset)
      else this.#fresh.set(place.partition, [place.offset])
      return
    }
    const due = { state: 'delayed', due: 0, attempts, event: entry.json, ...(memo !== undefined && { memo }) } as const
    await this.#defer(group, place, due)
  }

  async #deferred({ group, entry, state, attempts, due, reason, key, memo }: DeferredRecord): Promise<void> {
    const place = this.#placeOf(entry)
    if (!place) return
    await this.#defer(group, place, {
      state,
      attempts,
      reason,
      event: entry.json,
      ...(due !== undefined && { due }),
      ...(key !== undefined && { key }),
      ...(memo !== undefined && { memo }),
    })
  }

  /** Stores where the group is in each partition. What lies too far back for that is set aside. */
  async #endGroup(): Promise<void> {
    if (!this.#group) return
    const { group, filter } = this.#group
    const { index, names } = this.#log
    const matches = compileFilter(filter)
    for (let partition = 0; partition < names.partitions; partition++) {
      const head = index.covered('events', partition)
      const fresh = new Set((this.#fresh.get(partition) ?? []).toSorted((a, b) => a - b))
      for (const offset of fresh) {
        if (offset > head - maxAboveMark) break
        fresh.delete(offset)
        await this.#defer(
          group,
          { partition, offset },
          { state: 'ready', attempts: 0, event: index.text(partition, offset)! },
        )
      }
      const settlement = new PartitionSettlement({
        offset: Math.min(head, ...[...fresh].map(offset => offset - 1)),
        metadata: '',
      })
      // The mark is that of the first event that is open.
      for (const offset of fresh) settlement.openAt(offset)
      for (const { offset, type, target } of index.range(partition, settlement.mark, head, maxAboveMark))
        if (!fresh.has(offset) && matches({ type, target })) settlement.settle(offset)
      settlement.skipTo(head)
      const { key, value } = settlementRecord(names, group, partition, settlement.stored())
      await this.#set(partition, key, value as string)
    }
    this.#fresh = new Map()
    this.#group = undefined
  }

  #defer(group: string, { partition, offset }: { partition: number; offset: number }, entry: DeferredEntry) {
    return this.#set(partition, deferredKey(group, partition, offset), JSON.stringify(entry))
  }

  #placeOf({ event }: EncodedEvent): { readonly partition: number; readonly offset: number } | undefined {
    const partition = this.#log.names.partitionOf(event.correlationid)
    const row = this.#log.index.byId(partition, event.id)
    return row && { partition, offset: row.offset }
  }

  /** That of its event, if the id names it. */
  #partitionOfClaim(id: string): number {
    const [correlation = ''] = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(id) ?? []
    return this.#log.names.partitionOf(correlation)
  }

  async #append(entries: readonly EncodedEvent[]): Promise<void> {
    this.#events.push(...entries)
    if (this.#events.length >= eventsAtOnce) await this.#flushEvents()
  }

  async #flushEvents(): Promise<void> {
    const entries = this.#events.splice(0)
    if (entries.length > 0) await this.#log.publisher.publish(entries)
  }

  #setOf(task: string, key: string, value: string): Promise<void> {
    return this.#set(this.#log.names.partitionOf(correlationOf(task)), key, value)
  }

  async #set(partition: number, key: string, value: string | null): Promise<void> {
    this.#states.push({ partition, key, value })
    if (this.#states.length >= statesAtOnce) await this.#flushStates()
  }

  async #flushStates(): Promise<void> {
    const states = this.#states.splice(0)
    const { names, publisher } = this.#log
    if (states.length > 0)
      await publisher.store(states.map(({ partition, key, value }) => stateRecord(names, partition, key, value)))
  }
}
