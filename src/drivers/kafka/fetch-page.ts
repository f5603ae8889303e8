import { IS_CONTROL, IS_TRANSACTIONAL, type RecordsBatch } from '@platformatic/kafka'
import type { InRecord } from './local-index.ts'
import type { FetchedPartition } from './requests.ts'

type AbortedTransaction = NonNullable<FetchedPartition['abortedTransactions']>[number]

/** What a fetch returned of a partition, in offsets of the log (one more than that of Kafka). */
export interface FetchedPage {
  readonly records: InRecord[]
  /** Everything up to this offset was read; markers and aborted records use up offsets. */
  readonly covered: number
}

const logAppendTime = 1 << 3

/** The committed records of a fetch that began after `after`. The client's own filter lets aborted records through (decision 0005). */
export function readPage(found: FetchedPartition, after: number): FetchedPage {
  const batches = found.records ?? []
  const records = committed(batches, found.abortedTransactions ?? []).filter(({ offset }) => offset > after)
  const last = batches.at(-1)
  return { records, covered: last ? Number(last.firstOffset) + last.lastOffsetDelta + 1 : after }
}

/** Batches whose transaction was aborted are skipped from its first offset to its marker. */
function committed(batches: readonly RecordsBatch[], aborted: readonly AbortedTransaction[]): InRecord[] {
  const pending = aborted.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const skipping = new Set<bigint>()
  const records: InRecord[] = []
  for (const batch of batches) {
    const end = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (pending[0] && pending[0].firstOffset <= end) skipping.add(pending.shift()!.producerId)
    if (batch.attributes & IS_CONTROL) {
      skipping.delete(batch.producerId)
      continue
    }
    if (batch.attributes & IS_TRANSACTIONAL && skipping.has(batch.producerId)) continue
    const first = Number(batch.firstOffset)
    for (const { offsetDelta, timestampDelta, key, value } of batch.records)
      records.push({
        offset: first + offsetDelta + 1,
        at: Number(batch.attributes & logAppendTime ? batch.maxTimestamp : batch.firstTimestamp + timestampDelta),
        key: key?.toString() ?? '',
        value,
      })
  }
  return records
}
