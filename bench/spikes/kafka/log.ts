import {
  type Connection,
  fetchV17,
  IS_CONTROL,
  IS_TRANSACTIONAL,
  listOffsetsV9,
  type RecordsBatch,
} from '@platformatic/kafka'
import type { Broker } from './broker.ts'

/*
 * Reads partitions request by request, with the filter for aborted transactions done here: the client's own filter lets
 * aborted records through in two cases that `client-traps.ts` shows.
 */

export const uncommitted = 0
export const committed = 1

export interface Line {
  readonly offset: bigint
  readonly key: string
  readonly value: string
}

export interface Page {
  readonly lines: Line[]
  /** Where to go on; markers and aborted records take up offsets that are never handed out. */
  readonly next: bigint
  readonly stable: bigint
  readonly high: bigint
}

export async function topicId(broker: Broker, topic: string): Promise<string> {
  const { topics } = await broker.admin.metadata({ topics: [topic], forceUpdate: true })
  return topics.get(topic)!.id
}

export async function fetchPage(
  connection: Connection,
  topic: string,
  partition: number,
  from: bigint,
  { isolation = committed, wait = 0, bytes = 4 << 20 } = {},
): Promise<Page> {
  const wanted = {
    partition,
    currentLeaderEpoch: -1,
    fetchOffset: from,
    lastFetchedEpoch: -1,
    partitionMaxBytes: bytes,
  }
  const topics = [{ topicId: topic, partitions: [wanted] }]
  const answer = await fetchV17.api.async(connection, wait, 1, bytes, isolation, 0, -1, topics, [], '')
  const found = answer.responses[0]!.partitions[0]!
  const batches = found.records ?? []
  const aborted = isolation === committed ? (found.abortedTransactions ?? []) : []
  const last = batches.at(-1)
  return {
    lines: visible(batches, aborted).filter(({ offset }) => offset >= from),
    next: last ? last.firstOffset + BigInt(last.lastOffsetDelta) + 1n : from,
    stable: found.lastStableOffset,
    high: found.highWatermark,
  }
}

/** Batches whose transaction was aborted are skipped from its first offset to its marker. */
function visible(batches: RecordsBatch[], aborted: readonly { producerId: bigint; firstOffset: bigint }[]): Line[] {
  const pending = aborted.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const skipping = new Set<bigint>()
  const lines: Line[] = []
  for (const batch of batches) {
    const end = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (pending[0] && pending[0].firstOffset <= end) skipping.add(pending.shift()!.producerId)
    if (batch.attributes & IS_CONTROL) {
      skipping.delete(batch.producerId)
      continue
    }
    if (batch.attributes & IS_TRANSACTIONAL && skipping.has(batch.producerId)) continue
    for (const { offsetDelta, key, value } of batch.records)
      lines.push({
        offset: batch.firstOffset + BigInt(offsetDelta),
        key: key?.toString() ?? '',
        value: value?.toString() ?? '',
      })
  }
  return lines
}

/** Everything committed up to the last stable offset, as it is now. */
export async function readAll(connection: Connection, topic: string, partition: number, from = 0n): Promise<Page> {
  const lines: Line[] = []
  for (;;) {
    const page = await fetchPage(connection, topic, partition, from)
    lines.push(...page.lines)
    if (page.next >= page.stable || page.next === from) return { ...page, lines }
    from = page.next
  }
}

/** The last stable offset (`committed`) or the high watermark (`uncommitted`). */
export async function endOf(
  connection: Connection,
  topic: string,
  partition: number,
  isolation: number,
): Promise<bigint> {
  const partitions = [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp: -1n }]
  const answer = await listOffsetsV9.api.async(connection, -1, isolation, [{ name: topic, partitions }])
  return answer.topics[0]!.partitions[0]!.offset
}
