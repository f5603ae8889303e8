import type { EventRecord, TransferRecord, TurnRecord } from '../../../bus/driver.ts'
import { parseId, turnId } from '../../../bus/ids.ts'
import { eventFrom } from '../../../bus/malformed.ts'
import type { CloudEvent } from '../../../event.ts'
import { compileFilter } from '../../../pattern.ts'
import { mergePartitions } from '../../shared/merge-partitions.ts'
import { GroupDefinitions } from '../group-definitions.ts'
import type { KafkaLog } from '../kafka-log.ts'
import type { IndexedEvent } from '../local-index.ts'
import { endedKey, snapshotOf, wakeKey, type StoredWake } from '../task-state.ts'
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

/** The events of a partition, those that a turn emitted with their turn. */
class PartitionExport {
  readonly #log: KafkaLog
  readonly #partition: number
  /** Groups that run tasks, with what each of them takes. */
  readonly #owners: readonly { readonly group: string; readonly matches: (event: CloudEvent) => boolean }[]
  /** Cancellations that were yielded with their turn. */
  readonly #cancellations = new Set<string>()

  constructor(log: KafkaLog, partition: number) {
    this.#log = log
    this.#partition = partition
    const definitions = new GroupDefinitions(log)
    this.#owners = definitions
      .list()
      .filter(({ mode }) => mode === 'sharded')
      .map(({ group }) => ({ group, matches: compileFilter(definitions.filterOf(group)) }))
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
    const wake = index.state(wakeKey(task))
    const stored = wake && (JSON.parse(wake.value) as StoredWake)
    const snapshot = isEnded ? undefined : snapshotOf(index, task)
    const group = isEnded ? undefined : (stored?.group ?? this.#groupOf(row))
    const emitted = [...this.#emittedBy(row.id), ...this.#cancelledBy(task, row.offset)]
    return {
      kind: 'turn',
      task,
      version,
      events: emitted.flatMap(each => kafkaEntry(index, each) ?? []),
      ...(group !== undefined && { group }),
      ...(isNewest && { state: isEnded ? 'ended' : { wake: stored?.due ?? null } }),
      ...(snapshot?.version === version && { snapshot: snapshot.state }),
    }
  }

  /** The state keeps the group of a task only with a wake-up. It is the one that takes what the task got. */
  #groupOf({ partition, offset }: IndexedEvent): string | undefined {
    const [only, ...others] = this.#owners
    if (others.length === 0) return only?.group
    const turn = eventFrom(this.#log.index.text(partition, offset) ?? '')
    const inputs = (turn?.data as { readonly inputs?: readonly CloudEvent[] } | null)?.inputs ?? []
    return (this.#owners.find(({ matches }) => inputs.some(matches)) ?? only)?.group
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
