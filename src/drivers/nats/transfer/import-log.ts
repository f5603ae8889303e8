import { randomUUID } from 'node:crypto'
import { formatCursor } from '../../../bus/cursor.ts'
import type { EncodedEvent, TransferRecord, TurnRecord } from '../../../bus/driver.ts'
import { correlationOf, turnId } from '../../../bus/ids.ts'
import type { Blobs } from '../blobs.ts'
import type { LogConnection } from '../connection.ts'
import type { NatsLog } from '../nats-log.ts'
import { msgId } from '../stream.ts'
import type { TaskTombstones } from '../task-tombstones.ts'
import { blobTenant, decodeId, encodeId, payloadReserveBytes, taskOf, turnHeaders } from '../turns.ts'
import type { ImportedIds, TurnChain } from './imported-ids.ts'
import { PartitionWriter } from './partition-writer.ts'

export interface ImportContext {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly blobs: Blobs
  readonly tombstones: TaskTombstones
  /** As for claims of workers. */
  readonly claimTtl: string
}

/** Ids of ended tasks that are written at a time. */
const maxEnded = 1_000
const endedTtlMs = 90 * 24 * 3_600_000

/** Events, turns, ended tasks, claims and documents. */
export class LogImport {
  readonly #context: ImportContext
  readonly #ids: ImportedIds
  readonly #writers: readonly PartitionWriter[]
  #ended: string[] = []

  private constructor(context: ImportContext, ids: ImportedIds, writers: readonly PartitionWriter[]) {
    this.#context = context
    this.#ids = ids
    this.#writers = writers
  }

  /** Reads what an earlier import stored. An empty log begins above this offset. */
  static async open(context: ImportContext, ids: ImportedIds, above: number): Promise<LogImport> {
    const { connection, log } = context
    for (const stream of log.partitions)
      if ((await stream.info()).state.last_seq < above) await stream.startAt(above + 1)
    await log.moveHorizon(formatCursor(log.partitions.map(() => above)))
    for (const stream of log.partitions)
      for await (const { subject, seq, header } of stream.scanHeaders('>', 1, await stream.head())) {
        const kind = subject[log.names.log.length + 1]
        if (kind === 'e') ids.add(decodeId(header(msgId)), seq)
        if (kind !== 't') continue
        const task = taskOf(subject)
        ids.add(turnId(task, Number(header(turnHeaders.version))), seq)
        ids.setChain(task, chainAfter(ids.chainOf(task), seq, header(turnHeaders.snapshot) !== ''))
      }
    const writers = await Promise.all(log.partitions.map(stream => PartitionWriter.open(connection, stream)))
    return new LogImport(context, ids, writers)
  }

  /** False for the records of groups. */
  async add(record: TransferRecord): Promise<boolean> {
    switch (record.kind) {
      case 'event':
        await this.#event(record.entry)
        return true
      case 'turn':
        await this.#turn(record)
        return true
      case 'ended':
        if (this.#ended.push(record.task) >= maxEnded) await this.#writeEnded()
        return true
      case 'claim':
        await this.#claim(record.id)
        return true
      case 'document':
        await this.#document(record)
        return true
      case 'group':
      case 'unsettled':
      case 'deferred':
        return false
    }
  }

  /** Everything that was added is stored. */
  async flush(): Promise<void> {
    for (const writer of this.#writers) await writer.flush()
    await this.#writeEnded()
  }

  /** The writer of the partition of a correlation. */
  writerOf(correlation: string): PartitionWriter {
    const { names } = this.#context.log
    return this.#writers[names.partitionOf(names.shardOf(correlation))]!
  }

  async #event({ event, json }: EncodedEvent): Promise<void> {
    if (this.#ids.offsetOf(event.id) !== undefined) return
    const writer = this.writerOf(event.correlationid)
    this.#ids.add(event.id, writer.next)
    const headers = { [msgId]: encodeId(event.id) }
    await writer.append({ subject: this.#context.log.names.event(event), body: json, headers })
  }

  async #turn(record: TurnRecord): Promise<void> {
    const { task, entry, events, snapshot } = record
    if (this.#ids.offsetOf(entry.event.id) === undefined) {
      const writer = this.writerOf(correlationOf(task))
      const chain = this.#ids.chainOf(task)
      const lines = [entry.json, ...events.map(({ json }) => json)]
      if (snapshot !== undefined) lines.push(JSON.stringify(snapshot))
      const body = lines.join('\n')
      const ref = await this.#blobFor(body)
      const headers = { ...headersOf(record, chain), ...(ref !== undefined && { [turnHeaders.body]: ref }) }
      this.#ids.add(entry.event.id, writer.next)
      this.#ids.setChain(task, chainAfter(chain, writer.next, snapshot !== undefined))
      await writer.append({
        subject: this.#context.log.names.turn(task),
        body: ref === undefined ? body : '',
        headers,
      })
    }
    for (const emitted of events) await this.#event(emitted)
  }

  /** Stores the lines of a turn that are too large for a message. */
  async #blobFor(body: string): Promise<string | undefined> {
    const { connection, blobs } = this.#context
    const bytes = Buffer.from(body)
    if (bytes.length <= connection.maxPayload - payloadReserveBytes) return undefined
    return blobs.put(blobTenant, bytes)
  }

  async #claim(id: string): Promise<void> {
    const { state, names } = this.#context.log
    await state.append(names.doc('claim', id), '', { 'Nats-TTL': this.#context.claimTtl })
  }

  async #document({ key, value, expiresAt }: Extract<TransferRecord, { kind: 'document' }>): Promise<void> {
    const { state, names } = this.#context.log
    const left = expiresAt === undefined ? undefined : Math.ceil((expiresAt - Date.now()) / 1_000)
    if (left !== undefined && left <= 0) return
    await state.append(names.document(key), value, left === undefined ? {} : { 'Nats-TTL': `${left}s` })
  }

  async #writeEnded(): Promise<void> {
    if (this.#ended.length === 0) return
    const { names } = this.#context.log
    const byShard = Map.groupBy(this.#ended.splice(0), task => names.shardOf(correlationOf(task)))
    await this.#context.tombstones.add(byShard, Date.now(), endedTtlMs)
  }
}

function headersOf(
  { version, events, group = '', state, snapshot }: TurnRecord,
  { origin, snapshotAt }: TurnChain = { origin: 0, snapshotAt: 0 },
): Record<string, string | number> {
  const wake = state === undefined || state === 'ended' ? null : state.wake
  return {
    [turnHeaders.group]: encodeURIComponent(group),
    [turnHeaders.version]: version,
    [turnHeaders.by]: randomUUID(),
    ...(events.length > 0 && { [turnHeaders.events]: events.length }),
    [turnHeaders.wake]: wake ?? 'none',
    ...(state === 'ended' && { [turnHeaders.end]: 1 }),
    ...(snapshot !== undefined && { [turnHeaders.snapshot]: 1 }),
    ...(snapshotAt > 0 && { [turnHeaders.snapshotAt]: snapshotAt }),
    ...(origin > 0 && { [turnHeaders.origin]: origin }),
  }
}

const chainAfter = (chain: TurnChain | undefined, seq: number, isSnapshot: boolean): TurnChain => ({
  origin: isSnapshot ? seq : (chain?.origin ?? seq),
  snapshotAt: isSnapshot ? seq : (chain?.snapshotAt ?? 0),
})
