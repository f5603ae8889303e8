import { deleteRecordsV2 } from '@platformatic/kafka'
import { TimeSearch } from '../../bus/search-by-time.ts'
import type { PurgeResult, Retention } from '../../bus/driver.ts'
import { retentionHorizon, type LogHolder, type RetentionHorizon } from '../shared/retention.ts'
import type { KafkaLog } from './kafka-log.ts'
import { horizonKey } from './local-index.ts'
import { stateRecord } from './records.ts'
import type { TopicBlobs } from './topic-blobs.ts'

/** Who needs a partition from an offset on. */
export interface PartitionHolders {
  readonly tasks: readonly LogHolder[]
  readonly groups: readonly LogHolder[]
}

/** Removes what nobody needs from the beginning of each partition. */
export class KafkaJanitor {
  readonly #log: KafkaLog
  readonly #blobs: TopicBlobs
  readonly #holders: (partition: number) => Promise<PartitionHolders>

  constructor(log: KafkaLog, blobs: TopicBlobs, holders: (partition: number) => Promise<PartitionHolders>) {
    this.#log = log
    this.#blobs = blobs
    this.#holders = holders
  }

  async purge(retention: Retention): Promise<PurgeResult> {
    const { follower, names, index } = this.#log
    await follower.freshen()
    // The heads first: a task that begins later is neither known nor purged.
    const heads = Array.from({ length: names.partitions }, (_, partition) => index.newest(partition))
    const horizons = await Promise.all(heads.map((head, partition) => this.#horizonOf(partition, head, retention)))
    const moved = horizons
      .map(({ horizon }, partition) => ({ partition, last: horizon - 1 }))
      .filter(({ partition, last }) => last > index.deleted(partition))
    const events = moved.reduce((sum, { partition, last }) => sum + index.count(partition, last), 0)
    if (moved.length > 0) {
      const records = moved.map(({ partition, last }) =>
        stateRecord(names, partition, horizonKey(partition), String(last)),
      )
      await this.#log.publisher.store(records)
      await follower.freshen()
      await Promise.all(moved.map(({ partition, last }) => this.#delete(partition, last)))
    }
    await this.#purgeBlobs(this.#log.now() - retention.maxAgeMs)
    return { events, heldBy: [...new Set(horizons.map(({ heldBy }) => heldBy))].join('; ') }
  }

  async #horizonOf(partition: number, head: number, { maxAgeMs, maxLag }: Retention): Promise<RetentionHorizon> {
    const { tasks, groups } = await this.#holders(partition)
    const young = this.#firstSince(partition, head, this.#log.now() - maxAgeMs)
    return retentionHorizon({ head, young, maxLag, tasks, groups })
  }

  #firstSince(partition: number, head: number, cutoff: number): number {
    const { index } = this.#log
    const search = new TimeSearch({ first: index.deleted(partition) + 1, head, cutoff })
    for (let probe; (probe = search.probe) !== undefined; )
      search.answer(index.range(partition, probe - 1, search.below - 1, 1)[0])
    return search.offset
  }

  /** A blob is put before the event that names it, so those that are older than every event may go, unless the state names them. */
  async #purgeBlobs(cutoff: number): Promise<void> {
    const { index, names } = this.#log
    let oldest = cutoff
    for (let partition = 0; partition < names.partitions; partition++)
      oldest = Math.min(oldest, index.range(partition, 0, Infinity, 1)[0]?.at ?? cutoff)
    const kept = new Set<string>()
    for (const value of index.stateValues()) for (const [ref] of value.matchAll(/sha256-[0-9a-f]{64}/g)) kept.add(ref)
    await this.#blobs.purge(oldest - blobSlackMs, kept)
  }

  async #delete(partition: number, last: number): Promise<void> {
    const topic = this.#log.names.events
    // The first offset of Kafka that stays is that of our next one.
    const topics = [{ name: topic, partitions: [{ partitionIndex: partition, offset: BigInt(last) }] }]
    await this.#log.cluster.ask(
      deleteRecordsV2.api,
      { leader: { topic, partition } },
      [topics, this.#log.cluster.timeoutMs],
      {
        isRepeatable: true,
      },
    )
  }
}

/** From the writing of a blob to the publishing of the event that names it. */
const blobSlackMs = 60 * 60_000
