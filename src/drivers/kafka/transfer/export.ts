import type { EventRecord, TransferRecord, TurnRecord } from '../../../bus/driver.ts'
import { turnsMissing } from '../../../bus/copy/open-tasks.ts'
import { parseId, turnId } from '../../../bus/ids.ts'
import type { CloudEvent } from '../../../event.ts'
import { mergePartitions } from '../../shared/merge-partitions.ts'
import { deferredOffset, type DeferredEntry, deferredStates } from '../deferred-entries.ts'
import type { KafkaLog } from '../kafka-log.ts'
import type { IndexedEvent } from '../local-index.ts'
import { endedKey, newestVersion, openTasks, snapshotOf, wakeOf } from '../task-state.ts'
import { exportKafkaGroups } from './export-groups.ts'
import { kafkaEntry } from './entry.ts'

const pageSize = 1_000

interface KeptDocument {
  readonly value: string
  readonly until?: number
}

/** Everything that the log holds, from the index of this process, which is brought up to date first. */
export async function* exportKafkaLog(log: KafkaLog): AsyncGenerator<TransferRecord> {
  const { index, follower, names } = log
  await follower.freshen()
  for (const { task, partition } of openTasks(index))
    if (!index.byId(partition, turnId(task, newestVersion(index, task)))) throw turnsMissing(task)
  yield* purgedEvents(log)
  const partitions = Array.from({ length: names.partitions }, (_, partition) => new PartitionExport(log, partition))
  yield* mergePartitions(
    partitions.map(each => each.records()),
    ({ entry }) => Date.parse(entry.event.time),
  )
  for (const { key, partition } of index.statesOf(endedKey(''))) {
    const task = key.slice(endedKey('').length)
    if (!index.byId(partition, turnId(task, 1))) yield { kind: 'ended', task }
  }
  for (const { key } of index.statesOf('claim/')) yield { kind: 'claim', id: key.slice('claim/'.length) }
  for (const { key, value: text } of index.statesOf('document/')) {
    const { value, until } = JSON.parse(text) as KeptDocument
    if (until !== undefined && until <= log.now()) continue
    yield {
      kind: 'document',
      key: key.slice('document/'.length),
      value,
      ...(until !== undefined && { expiresAt: until }),
    }
  }
  yield* exportKafkaGroups(log)
}

/** Events that a purge removed while a group had set them aside, which keeps a text of its own. */
function* purgedEvents({ index }: KafkaLog): Generator<EventRecord> {
  const seen = new Set<string>()
  const rows = index.statesOf(deferredStates).map(({ key, partition, value }) => {
    const { event: json } = JSON.parse(value) as DeferredEntry
    return { position: { partition, offset: deferredOffset(key) }, json }
  })
  for (const { position, json } of rows.toSorted((a, b) => a.position.offset - b.position.offset)) {
    const event = JSON.parse(json) as CloudEvent
    if (index.byId(position.partition, event.id) || seen.size === seen.add(event.id).size) continue
    yield { kind: 'event', position, entry: { event, json } }
  }
}

/** The events of a partition, those that a turn emitted with their turn. */
class PartitionExport {
  readonly #log: KafkaLog
  readonly #partition: number
  /** Cancellations that were yielded with their turn. */
  readonly #cancellations = new Set<string>()

  constructor(log: KafkaLog, partition: number) {
    this.#log = log
    this.#partition = partition
  }

  *records(): Generator<EventRecord | TurnRecord> {
    const { index } = this.#log
    for (let after = 0; ; ) {
      const rows = index.range(this.#partition, after, Infinity, pageSize)
      for (const row of rows) {
        const record = this.#recordOf(row)
        if (record) yield record
      }
      if (rows.length < pageSize) return
      after = rows.at(-1)!.offset
    }
  }

  #recordOf(row: IndexedEvent): EventRecord | TurnRecord | undefined {
    const { index } = this.#log
    const position = { partition: row.partition, offset: row.offset }
    const made = parseId(row.id)
    if (!made || made.suffix !== undefined) {
      const entry = this.#cancellations.delete(row.id) ? undefined : kafkaEntry(index, row)
      return entry && { kind: 'event', position, entry }
    }
    const { task, version, ordinal } = made
    const entry = kafkaEntry(index, row)
    if (!entry) return undefined
    if (ordinal === undefined) return { ...this.#turn(row, task, version), entry, position }
    // It is yielded with its turn, unless that was purged.
    return index.byId(this.#partition, turnId(task, version)) ? undefined : { kind: 'event', position, entry }
  }

  #turn(row: IndexedEvent, task: string, version: number): Omit<TurnRecord, 'position' | 'entry'> {
    const { index } = this.#log
    const isEnded = index.state(endedKey(task)) !== undefined
    const isNewest = !index.byId(this.#partition, turnId(task, version + 1))
    const wake = isEnded ? undefined : wakeOf(index, task)
    const snapshot = isEnded ? undefined : snapshotOf(index, task)
    const emitted = [...this.#emittedBy(row.id), ...this.#cancelledBy(task, row.offset)]
    return {
      kind: 'turn',
      task,
      version,
      events: emitted.flatMap(each => kafkaEntry(index, each) ?? []),
      ...(wake && { group: wake.group }),
      ...(isNewest && { state: isEnded ? 'ended' : { wake: wake?.due ?? null } }),
      ...(snapshot?.version === version && { snapshot: snapshot.state }),
    }
  }

  #emittedBy(turn: string): IndexedEvent[] {
    return this.#log.index
      .idsBetween(`${turn}:`, `${turn};`)
      .filter(({ id }) => /^\d+$/.test(id.slice(turn.length + 1)))
      .toSorted((a, b) => a.offset - b.offset)
  }

  /** They have the ids of older turns, and are stored right after the turn that cancelled. */
  *#cancelledBy(task: string, turn: number): Generator<IndexedEvent> {
    for (let after = turn; ; ) {
      const rows = this.#log.index.range(this.#partition, after, Infinity, 16)
      for (const row of rows) {
        if (!row.id.startsWith(`${task}:`) || /^\d+$/.test(row.id.slice(task.length + 1))) return
        if (!row.id.endsWith(':cancel')) continue
        this.#cancellations.add(row.id)
        yield row
      }
      if (rows.length < 16) return
      after = rows.at(-1)!.offset
    }
  }
}
