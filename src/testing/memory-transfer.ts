import {
  formatCursor,
  mergePartitions,
  parseId,
  turnId,
  unionOf,
  type DeferredRecord,
  type EncodedEvent,
  type LogTransfer,
  type TransferRecord,
  type TurnRecord,
  type UnsettledRecord,
} from '../driver.ts'
import type { CloudEvent } from '../event.ts'
import { MemoryDriver } from './memory/driver.ts'
import { MemoryGroup } from './memory/group.ts'
import type { MemoryLog, MemoryRow, MemoryTask } from './memory/log.ts'

/** A member of a log in memory that can be copied: the optional part of the contract. The conformance suite moves logs to it and from it. */
export class CopyableMemoryDriver extends MemoryDriver {
  readonly transfer: LogTransfer = {
    busyGroups: () =>
      this.call(log => log.sortedGroups.flatMap(({ group, members }) => (members.length > 0 ? [group] : []))),
    exportRecords: () => this.list(exportMemoryLog),
    importRecords: (records, above) => this.call(log => importMemoryLog(log, records, above)),
  }
}

const entryOf = ({ json }: MemoryRow): EncodedEvent => ({ event: JSON.parse(json) as CloudEvent, json })

/** What the log holds. */
async function* exportMemoryLog(log: MemoryLog): AsyncGenerator<TransferRecord> {
  const emitted = emittedIn(log)
  for (const row of purgedRows(log)) yield { kind: 'event', position: row.position, entry: entryOf(row) }
  for await (const row of mergePartitions(log.rows, ({ event }) => Date.parse(event.time))) {
    if (emitted.has(row)) continue
    const { position, event } = row
    const made = parseId(event.id)
    const task = made && log.tasks.get(made.task)
    if (!made || !task || event.id !== turnId(task.id, made.version))
      yield { kind: 'event', position, entry: entryOf(row) }
    else yield turnOf(task, made.version, row, emitted)
  }
  for (const { id, ended, turns } of log.tasks.values())
    if (ended && turns[0]!.length === 0) yield { kind: 'ended', task: id }
  for (const id of log.claims) yield { kind: 'claim', id }
  for (const [key, { value, until }] of log.documents)
    if (until > log.clock.now()) yield { kind: 'document', key, value, ...(until < Infinity && { expiresAt: until }) }
  for (const group of log.sortedGroups) yield* exportGroup(group)
}

/** What a purge removed while a group had not settled it. */
function purgedRows(log: MemoryLog): MemoryRow[] {
  const waiting = log.sortedGroups.flatMap(({ unsettled, deferred }) => [
    ...unsettled,
    ...Array.from(deferred.values(), ({ pending }) => pending),
  ])
  return [...new Set(waiting.map(({ row }) => row))]
    .filter(({ event }) => !log.byId.has(event.id))
    .toSorted((a, b) => a.position.offset - b.position.offset)
}

function turnOf(task: MemoryTask, version: number, row: MemoryRow, emitted: ReadonlySet<MemoryRow>): TurnRecord {
  const { id, group, turns, ended, wake, snapshot } = task
  return {
    kind: 'turn',
    position: row.position,
    task: id,
    version,
    entry: entryOf(row),
    events: turns[version - 1]!.filter(each => emitted.has(each)).map(entryOf),
    group,
    ...(version === turns.length && { state: ended ? 'ended' : { wake } }),
    ...(!ended && snapshot?.version === version && { snapshot: snapshot.state }),
  }
}

/** Rows that are exported with their turn. */
function emittedIn(log: MemoryLog): Set<MemoryRow> {
  const found = new Set<MemoryRow>()
  for (const { turns, id: task } of log.tasks.values())
    for (const [i, [turn, ...events]] of turns.entries())
      if (turn?.event.id === turnId(task, i + 1))
        for (const row of events) if (isOwn(row.event.id, turn.event.id, task)) found.add(row)
  return found
}

const isOwn = (id: string, turn: string, task: string) =>
  /^:\d+$/.test(id.startsWith(turn) ? id.slice(turn.length) : '') ||
  (id.startsWith(`${task}:`) && id.endsWith(':cancel'))

function* exportGroup({ group, mode, filter, unsettled, deferred }: MemoryGroup): Generator<TransferRecord> {
  yield { kind: 'group', group, mode, filter }
  for (const { row, attempt, memo } of unsettled)
    yield {
      kind: 'unsettled',
      group,
      entry: entryOf(row),
      attempts: attempt - 1,
      ...(memo !== undefined && { memo }),
    }
  for (const { entry, pending, due } of deferred.values()) {
    const { id: _, ...rest } = entry
    const memo = entry.state === 'delayed' ? pending.memo : undefined
    yield {
      kind: 'deferred',
      ...rest,
      entry: entryOf(pending.row),
      ...(due !== undefined && { due }),
      ...(memo !== undefined && { memo }),
    }
  }
}

async function importMemoryLog(log: MemoryLog, records: AsyncIterable<TransferRecord>, above: number): Promise<void> {
  for (const [partition, head] of log.heads.entries()) if (head === 0) log.heads[partition] = above
  log.horizon = unionOf(log.horizon, formatCursor(log.heads.map(() => above)))
  log.groups.clear()
  for await (const record of records) add(log, record)
}

function add(log: MemoryLog, record: TransferRecord): void {
  switch (record.kind) {
    case 'event':
      log.publish([record.entry])
      return
    case 'turn':
      return addTurn(log, record)
    case 'ended': {
      const task = log.tasks.get(record.task) ?? log.beginTask('', record.task, { partition: 0, offset: 0 })
      if (task.turns.length === 0) task.turns.push([])
      task.ended = true
      return
    }
    case 'claim':
      log.claims.add(record.id)
      return
    case 'document': {
      const { key, value, expiresAt: until = Infinity } = record
      log.documents.set(key, { revision: 1, value, until })
      return
    }
    case 'group':
      log.groups.set(record.group, new MemoryGroup(log, { ...record, from: 'now' }))
      return
    case 'unsettled':
    case 'deferred':
      return addDelivery(log, record)
  }
}

function addTurn(log: MemoryLog, record: TurnRecord): void {
  const { task: id, version, entry, events, group = '', state, snapshot } = record
  const entries = [entry, ...events]
  log.publish(entries)
  const rows = entries.map(({ event }) => log.byId.get(event.id)!)
  const { position } = rows[0]!
  const task = log.tasks.get(id) ?? log.beginTask(group, id, position)
  while (task.turns.length < version) task.turns.push([])
  task.turns[version - 1] = rows
  if (snapshot !== undefined) Object.assign(task, { snapshot: { version, state: snapshot }, origin: position })
  if (!state) return
  task.ended = state === 'ended'
  log.setWake(task, state === 'ended' ? null : state.wake)
}

function addDelivery(log: MemoryLog, record: UnsettledRecord | DeferredRecord): void {
  const row = log.byId.get(record.entry.event.id)
  if (!row) return
  const group = log.groups.get(record.group)!
  if (record.kind === 'unsettled') return group.requeue({ row, attempt: record.attempts + 1, memo: record.memo })
  const { kind: _, entry: __, due, memo, ...rest } = record
  const attempt = due === undefined ? rest.attempts : rest.attempts + 1
  group.setAside(rest, { row, attempt, memo }, due)
}
