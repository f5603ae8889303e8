import type { DeferredRecord, TransferRecord, UnsettledRecord } from '../../../bus/driver.ts'
import { readReason } from '../../../bus/reason.ts'
import { compileFilter } from '../../../pattern.ts'
import { readSettlements } from '../committed-offsets.ts'
import { deferredOffset, type DeferredEntry, deferredPrefix } from '../deferred-entries.ts'
import { GroupDefinitions } from '../group-definitions.ts'
import type { KafkaLog } from '../kafka-log.ts'
import type { IndexedEvent } from '../local-index.ts'
import { PartitionSettlement } from '../settlement.ts'
import { kafkaEntry } from './entry.ts'

const pageSize = 1_000

/** The groups, each with what it has not settled. */
export async function* exportKafkaGroups(log: KafkaLog): AsyncGenerator<TransferRecord> {
  const definitions = new GroupDefinitions(log)
  const partitions = Array.from({ length: log.names.partitions }, (_, partition) => partition)
  for (const definition of definitions.list()) {
    const { group, mode } = definition
    yield { kind: 'group', group, mode, filter: definitions.filterOf(group) }
    const matches = compileFilter(definitions.filterOf(group))
    const stored = await readSettlements(log, definition, partitions)
    for (const partition of partitions) {
      const deferred = deferredOf(log, group, partition)
      for (const [offset, entry] of deferred) yield deferredRecord(log, group, { partition, offset, entry })
      const settlement = new PartitionSettlement(stored.get(partition)!)
      yield* unread(log, group, { partition, settlement, deferred, matches })
    }
  }
}

function deferredOf({ index }: KafkaLog, group: string, partition: number): Map<number, DeferredEntry> {
  const rows = index.statesOf(deferredPrefix(group, partition))
  const entries = rows.map(({ key, value }) => [deferredOffset(key), JSON.parse(value) as DeferredEntry] as const)
  return new Map(entries.toSorted(([a], [b]) => a - b))
}

interface FoundEntry {
  readonly partition: number
  readonly offset: number
  readonly entry: DeferredEntry
}

/** What is ready, or in the hands of a member that is gone, only waits for a member; so does what an import left without a reason. */
function deferredRecord(
  { index }: KafkaLog,
  group: string,
  { partition, offset, entry: { state, attempts, due, reason, key, memo, event: json } }: FoundEntry,
): DeferredRecord | UnsettledRecord {
  const row = index.at(partition, offset)
  const entry = (row && kafkaEntry(index, row)) ?? { event: JSON.parse(json), json }
  const kept = { group, entry, attempts, ...(memo !== undefined && { memo }) }
  if (state === 'ready' || state === 'held' || (state === 'delayed' && reason === undefined))
    return { kind: 'unsettled', ...kept }
  return {
    kind: 'deferred',
    ...kept,
    state,
    reason: readReason(reason),
    ...(due !== undefined && { due }),
    ...(key !== undefined && { key }),
  }
}

interface OpenPartition {
  readonly partition: number
  readonly settlement: PartitionSettlement
  readonly deferred: ReadonlyMap<number, DeferredEntry>
  readonly matches: (event: IndexedEvent) => boolean
}

function* unread(
  { index }: KafkaLog,
  group: string,
  { partition, settlement, deferred, matches }: OpenPartition,
): Generator<UnsettledRecord> {
  for (let after = settlement.mark; ; ) {
    const rows = index.range(partition, after, Infinity, pageSize)
    for (const row of rows) {
      if (!matches(row) || settlement.isSettled(row.offset) || deferred.has(row.offset)) continue
      const entry = kafkaEntry(index, row)
      if (entry) yield { kind: 'unsettled', group, entry, attempts: settlement.attemptOf(row.offset) - 1 }
    }
    if (rows.length < pageSize) return
    after = rows.at(-1)!.offset
  }
}
