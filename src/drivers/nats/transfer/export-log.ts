import type { EncodedEvent, EventRecord, TransferRecord, TurnRecord } from '../../../bus/driver.ts'
import { turnId } from '../../../bus/ids.ts'
import { mergePartitions } from '../../shared/merge-partitions.ts'
import { redeliveryHeaders } from '../deferred-deliveries.ts'
import { fromToken } from '../names.ts'
import type { NatsLog } from '../nats-log.ts'
import type { StoredMessage } from '../stored-message.ts'
import { msgId } from '../stream.ts'
import { groupOfTurn, liveOf } from '../task-checkpoint.ts'
import { decodeId, taskOf, turnHeaders, type Turns } from '../turns.ts'
import { readEntry } from './entry.ts'
import { exportNatsGroups, type GroupExport } from './export-groups.ts'
import { ExportedIds } from './exported-ids.ts'

export interface ExportContext extends GroupExport {
  readonly log: NatsLog
  readonly turns: Turns
}

/** Everything that the log holds. */
export async function* exportNatsLog(context: ExportContext): AsyncGenerator<TransferRecord> {
  using ids = new ExportedIds()
  const { log } = context
  for (const stream of log.partitions)
    for await (const { subject, seq, header } of stream.scanHeaders(`${log.names.log}.t.>`, 1, await stream.head()))
      ids.addTurn(taskOf(subject), Number(header(turnHeaders.version)), seq)
  yield* purgedEvents(context, ids)
  const partitions = log.partitions.map((_, partition) => recordsIn(context, ids, partition))
  yield* mergePartitions(partitions, ({ entry }) => Date.parse(entry.event.time))
  for (const { json, isOwn } of ids.unpublished()) {
    const entry = isOwn ? undefined : readEntry(json)
    if (entry) yield { kind: 'event', position: { partition: 0, offset: 0 }, entry }
  }
  for (const { task, hasFirst, seq } of ids.newest()) {
    if (hasFirst) continue
    const newest = await log.streamOf(task.slice(0, 36)).at(seq)
    if (newest?.header(turnHeaders.end)) yield { kind: 'ended', task }
  }
  for await (const { text } of log.state.scan({ subject: log.names.doc('seal', '>') }))
    for (const task of text().split('\n')) yield { kind: 'ended', task }
  for await (const { subject } of log.state.scan({ subject: log.names.doc('claim', '*') }))
    yield { kind: 'claim', id: fromToken(subject.slice(log.names.doc('claim').length + 1)) }
  yield* documents(log)
  yield* exportNatsGroups(context, ids)
}

/** Events that a purge removed while a group waits for them: deferred deliveries and redeliveries have texts of their own. */
async function* purgedEvents({ log, groups, deferred }: ExportContext, ids: ExportedIds): AsyncGenerator<EventRecord> {
  const waiting: EventRecord[] = []
  const firsts = await Promise.all(log.partitions.map(async stream => (await stream.info()).state.first_seq))
  for (const { group, mode } of await groups.list()) {
    for await (const { event, shard, position: offset } of deferred.stored(group))
      waiting.push({
        kind: 'event',
        position: { partition: log.names.partitionOf(shard), offset },
        entry: { event, json: JSON.stringify(event) },
      })
    for (const [partition, stream] of log.partitions.entries()) {
      const floors = (await groups.infos(group, mode, partition)).map(({ ack_floor }) => ack_floor.stream_seq)
      const from = Math.min(...floors) + 1
      for await (const { header, text } of stream.scan({ subject: log.names.redelivery('*', group), from })) {
        const entry = readEntry(text())
        const position = { partition, offset: Number(header(redeliveryHeaders.position)) }
        if (entry) waiting.push({ kind: 'event', position, entry })
      }
    }
  }
  for (const record of waiting.toSorted((a, b) => a.position.offset - b.position.offset)) {
    const { position, entry } = record
    const isPurged =
      position.offset < firsts[position.partition]! || !(await log.partitions[position.partition]!.at(position.offset))
    if (isPurged && ids.addSeen(entry.event.id, position)) yield record
  }
}

async function* recordsIn(
  context: ExportContext,
  ids: ExportedIds,
  partition: number,
): AsyncGenerator<EventRecord | TurnRecord> {
  const { log } = context
  for await (const stored of log.partitions[partition]!.scan()) {
    const kind = stored.subject[log.names.log.length + 1]
    const position = { partition, offset: stored.seq }
    if (kind === 't') {
      const turn = await turnOf(context, ids, stored)
      if (turn) yield { ...turn, position }
    }
    const entry = kind === 'e' ? readEntry(stored.text()) : undefined
    if (!entry) continue
    const id = decodeId(stored.header(msgId)) || entry.event.id
    const isFirst = ids.addSeen(id, position)
    if (!ids.published(id) && isFirst) yield { kind: 'event', position, entry }
  }
}

async function turnOf(
  { log, turns }: ExportContext,
  ids: ExportedIds,
  stored: StoredMessage,
): Promise<Omit<TurnRecord, 'position'> | undefined> {
  const task = taskOf(stored.subject)
  const version = Number(stored.header(turnHeaders.version))
  const { turn, json, events, snapshot } = await turns.read(stored)
  const isOwn = ({ event }: EncodedEvent) =>
    isEmitted(event.id, turnId(task, version)) || (event.id.startsWith(`${task}:`) && event.id.endsWith(':cancel'))
  for (const each of events) ids.addEmitted(each.event.id, each.json, isOwn(each))
  const newest = ids.newestOf(task)
  const isNewest = newest.seq === stored.seq
  const last = isNewest ? stored : await log.streamOf(task.slice(0, 36)).at(newest.seq)
  const isEnded = last?.header(turnHeaders.end) !== ''
  const group = groupOfTurn(stored)
  return {
    kind: 'turn',
    task,
    version,
    entry: { event: turn, json },
    events: events.filter(isOwn),
    ...(group !== undefined && { group }),
    ...(isNewest && { state: isEnded ? 'ended' : { wake: await wakeOf(log, stored, group) } }),
    ...(!isEnded && snapshot !== undefined && snapshotAt(last) === stored.seq && { snapshot }),
  }
}

const isEmitted = (id: string, turn: string) => id.startsWith(turn) && /^:\d+$/.test(id.slice(turn.length))

/** The turn that carries the newest snapshot of a task, as its newest turn says. */
const snapshotAt = ({ seq, header }: StoredMessage) =>
  header(turnHeaders.snapshot) ? seq : Number(header(turnHeaders.snapshotAt)) || 0

async function wakeOf(log: NatsLog, turn: StoredMessage, group = ''): Promise<number | null> {
  const wake = turn.header(turnHeaders.wake)
  // Turns of older versions do not say it.
  if (wake === '') return (await liveOf(log, turn, group))?.wake ?? null
  return wake === 'none' ? null : Number(wake)
}

async function* documents({ state, names }: NatsLog): AsyncGenerator<TransferRecord> {
  const prefix = `${names.doc('doc')}.`
  for (const { subject, at, header, text } of await state.documents(`${prefix}>`)) {
    const parts = subject.slice(prefix.length).split('.')
    const key = parts.map(part => (part === '-' ? '' : fromToken(part))).join('/')
    const ttl = Number(/^(\d+)s$/.exec(header('Nats-TTL'))?.[1] ?? 0)
    yield { kind: 'document', key, value: text(), ...(ttl > 0 && { expiresAt: at + ttl * 1_000 }) }
  }
}
