import type { DeferredRecord, TransferRecord, UnsettledRecord } from '../../../bus/driver.ts'
import { type DeferredDeliveries, redeliveryHeaders } from '../deferred-deliveries.ts'
import type { Groups } from '../groups.ts'
import { type ImportContext, LogImport } from './import-log.ts'
import { ImportedIds } from './imported-ids.ts'

export interface FullImportContext extends ImportContext {
  readonly groups: Groups
  readonly deferred: DeferredDeliveries
}

/** Stores records. Groups start at the end of the log; what they have not settled is redelivered to them. */
export async function importNatsLog(
  context: FullImportContext,
  records: AsyncIterable<TransferRecord>,
  above: number,
): Promise<void> {
  using ids = new ImportedIds()
  const log = await LogImport.open(context, ids, above)
  const groups = new GroupImport(context, log, ids)
  await groups.clear()
  for await (const record of records) if (!(await log.add(record))) await groups.add(record)
  await log.flush()
}

class GroupImport {
  readonly #context: FullImportContext
  readonly #import: LogImport
  readonly #ids: ImportedIds
  #isBegun = false

  constructor(context: FullImportContext, log: LogImport, ids: ImportedIds) {
    this.#context = context
    this.#import = log
    this.#ids = ids
  }

  /** Removes what an earlier import left. */
  async clear(): Promise<void> {
    const { log, groups, deferred } = this.#context
    await groups.removeAll()
    await deferred.removeAll()
    for (const stream of log.partitions) await stream.purge(`${log.names.log}.r.>`)
  }

  async add(record: TransferRecord): Promise<void> {
    // The offsets of all events are known from here on, and groups start after them.
    if (!this.#isBegun) await this.#import.flush()
    this.#isBegun = true
    if (record.kind === 'group') await this.#context.groups.join({ ...record, from: 'now' })
    else if (record.kind === 'unsettled') await this.#redeliver(record)
    else if (record.kind === 'deferred') await this.#defer(record)
  }

  async #redeliver({ group, entry, attempts, memo }: UnsettledRecord): Promise<void> {
    const { names } = this.#context.log
    const offset = this.#ids.offsetOf(entry.event.id)
    if (offset === undefined) return
    const { correlationid } = entry.event
    await this.#import.writerOf(correlationid).append({
      subject: names.redelivery(names.shardOf(correlationid), group),
      body: entry.json,
      headers: {
        [redeliveryHeaders.attempt]: attempts + 1,
        [redeliveryHeaders.position]: offset,
        ...(memo !== undefined && { [redeliveryHeaders.memo]: memo }),
      },
    })
  }

  async #defer(record: DeferredRecord): Promise<void> {
    const { kind: _, entry, state, ...rest } = record
    const { names } = this.#context.log
    const { event } = entry
    const offset = this.#ids.offsetOf(event.id)
    if (offset === undefined) return
    const shard = names.shardOf(event.correlationid)
    const position = { partition: names.partitionOf(shard), offset }
    await this.#context.deferred.put(state, { ...rest, shard, position, event })
  }
}
