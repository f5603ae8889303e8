import { mergePartitions, parseId, turnId, type TransferRecord } from '../../driver.ts'
import { MemoryGroup } from './group.ts'
import { entryOfMemoryRow } from './entry.ts'
import type { MemoryLog, MemoryRow, MemoryTask } from './log.ts'

/** What the log holds. */
export async function* exportMemoryLog(log: MemoryLog): AsyncGenerator<TransferRecord> {
  const isEmitted = emittedIn(log)
  for (const row of purgedRows(log)) yield { kind: 'event', position: row.position, entry: entryOfMemoryRow(row) }
  for await (const row of mergePartitions(log.rows, ({ event }) => Date.parse(event.time))) {
    if (isEmitted.has(row)) continue
    const { position, event } = row
    const made = parseId(event.id)
    const task = made && log.tasks.get(made.task)
    if (!made || !task || event.id !== turnId(task.id, made.version))
      yield { kind: 'event', position, entry: entryOfMemoryRow(row) }
    else yield turnOf(task, made.version, row, isEmitted)
  }
  for (const { id, ended, turns } of log.tasks.values())
    if (ended && turns[0]!.length === 0) yield { kind: 'ended', task: id }
  for (const id of log.claims) yield { kind: 'claim', id }
  for (const [key, { value, until }] of log.documents)
    if (until > log.clock.now()) yield { kind: 'document', key, value, ...(until < Infinity && { expiresAt: until }) }
  for (const group of log.sortedGroups) yield* group.exportRecords()
}

/** What a purge removed while a group had not settled it. */
function purgedRows(log: MemoryLog): MemoryRow[] {
  const rows = new Set(log.sortedGroups.flatMap(group => group.waitingRows))
  return [...rows]
    .filter(({ event }) => !log.byId.has(event.id))
    .toSorted((a, b) => a.position.offset - b.position.offset)
}

function turnOf(task: MemoryTask, version: number, row: MemoryRow, isEmitted: ReadonlySet<MemoryRow>): TransferRecord {
  const { id, group, turns, ended, wake, snapshot } = task
  return {
    kind: 'turn',
    position: row.position,
    task: id,
    version,
    entry: entryOfMemoryRow(row),
    events: turns[version - 1]!.filter(each => isEmitted.has(each)).map(entryOfMemoryRow),
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

export async function importMemoryLog(
  log: MemoryLog,
  records: AsyncIterable<TransferRecord>,
  above: number,
): Promise<void> {
  log.startAbove(above)
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
    case 'deferred': {
      const row = log.byId.get(record.entry.event.id)
      if (row) log.groups.get(record.group)!.restore(row, record)
      return
    }
  }
}

function addTurn(log: MemoryLog, record: Extract<TransferRecord, { kind: 'turn' }>): void {
  const { task: id, version, entry, events, group = '', state, snapshot } = record
  const rows = log.publish([entry, ...events]).map((_, i) => log.byId.get([entry, ...events][i]!.event.id)!)
  const { position } = rows[0]!
  const task = log.tasks.get(id) ?? log.beginTask(group, id, position)
  while (task.turns.length < version) task.turns.push([])
  task.turns[version - 1] = rows
  if (snapshot !== undefined) Object.assign(task, { snapshot: { version, state: snapshot }, origin: position })
  if (!state) return
  task.ended = state === 'ended'
  log.setWake(task, state === 'ended' ? null : state.wake)
}
