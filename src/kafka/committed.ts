import type { KafkaRecord, RecordsBatch } from '@platformatic/kafka'

/*
 * The read-committed filter of the client hands out aborted records of a producer that aborted twice in one fetch, and of a transaction
 * that is larger than a fetch (decision 0005). Its `fetch` keeps the control records and the list of aborted transactions, so the right
 * filter can run after it.
 */

const [isTransactional, isControl] = [0b1_0000, 0b10_0000]

export interface UnfilteredPartition {
  readonly records?: readonly RecordsBatch[] | null
  readonly abortedTransactions: readonly { producerId: bigint; firstOffset: bigint }[] | null
}

/** A record with its offset and its time, ms since the epoch. */
export interface FetchedRecord extends Pick<KafkaRecord, 'key' | 'value' | 'headers'> {
  readonly offset: bigint
  readonly timestamp: number
}

export interface CommittedRecords {
  readonly records: FetchedRecord[]
  /** Where to fetch next. Markers and aborted records use up offsets that no record has. */
  readonly next: bigint
}

/** The records from `from` on that no transaction aborted. Skips a transaction from its first offset to its marker. */
export function committedRecords(
  { records, abortedTransactions }: UnfilteredPartition,
  from: bigint,
): CommittedRecords {
  const pending = (abortedTransactions ?? []).toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const aborted = new Set<bigint>()
  const committed: FetchedRecord[] = []
  let next = from
  for (const batch of records ?? []) {
    const end = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    if (end >= next) next = end + 1n
    while (pending[0] && pending[0].firstOffset <= end) aborted.add(pending.shift()!.producerId)
    if (batch.attributes & isControl) aborted.delete(batch.producerId)
    else if (!(batch.attributes & isTransactional && aborted.has(batch.producerId)))
      for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
        const offset = batch.firstOffset + BigInt(offsetDelta)
        if (offset >= from)
          committed.push({ offset, timestamp: Number(batch.firstTimestamp + timestampDelta), key, value, headers })
      }
  }
  return { records: committed, next }
}
