import { TidingsError } from '../../errors.ts'
import { formatCursor } from '../../bus/cursor.ts'
import type { PurgeResult, Retention } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { hasBlobData } from '../../bus/routed.ts'
import type { CloudEvent } from '../../event.ts'
import { TimeSearch } from '../../bus/search-by-time.ts'
import { type LogHolder, retentionHorizon } from '../shared/retention.ts'
import type { DeferredDeliveries } from './deferred-deliveries.ts'
import type { Blobs } from './blobs.ts'
import type { ConsumerInfo, GroupDocument, Groups } from './groups.ts'
import { foldShard } from './task-checkpoint.ts'
import { storedKinds } from './names.ts'
import type { NatsLog } from './nats-log.ts'
import type { TaskTombstones } from './task-tombstones.ts'
import type { StoredMessage } from './stored-message.ts'
import type { Stream } from './stream.ts'
import { taskOf, turnHeaders } from './turns.ts'

interface JanitorOptions {
  readonly log: NatsLog
  readonly groups: Groups
  readonly tombstones: TaskTombstones
  readonly deferred: DeferredDeliveries
  readonly blobs: Blobs
}

/** What may go from the log, by position: nothing that a live task, a group or its members still need. */
export class Janitor {
  readonly #log: NatsLog
  readonly #groups: Groups
  readonly #tombstones: TaskTombstones
  readonly #deferred: DeferredDeliveries
  readonly #blobs: Blobs

  constructor({ log, groups, tombstones, deferred, blobs }: JanitorOptions) {
    this.#log = log
    this.#groups = groups
    this.#tombstones = tombstones
    this.#deferred = deferred
    this.#blobs = blobs
  }

  async clean(retention: Retention): Promise<PurgeResult> {
    // The heads first: what is stored later is neither counted as a live task nor purged.
    const heads = await Promise.all(this.#log.partitions.map(stream => stream.head()))
    const tasks = await this.#liveTasks()
    const groups = await this.#groups.list()
    const horizons = await Promise.all(
      heads.map(async (head, partition) =>
        retentionHorizon({
          head,
          young: await this.#firstSince(this.#log.partitions[partition]!, Date.now() - retention.maxAgeMs, head),
          maxLag: retention.maxLag,
          tasks: tasks[partition]!,
          groups: await this.#cursors(groups, partition, head),
        }),
      ),
    )
    const starts = horizons.map(({ horizon }) => horizon)
    const newest = await Promise.all(this.#log.partitions.map(stream => this.#newestEvent(stream)))
    const horizon = formatCursor(starts.map((start, i) => Math.min(start - 1, newest[i]!)))
    // Before the purge, so that no reader meets a gap that it cannot know. A server without room takes it only after the purge.
    const isMoved = await this.#log.moveHorizon(horizon).then(() => true, unlessFull)
    await this.#sealFinished(starts, retention.maxAgeMs)
    const purged = await Promise.all(this.#log.partitions.map((stream, i) => this.#purge(stream, starts[i]!)))
    if (!isMoved) await this.#log.moveHorizon(horizon)
    await this.#purgeBlobs(starts, Date.now() - retention.maxAgeMs)
    return {
      events: purged.reduce((sum, events) => sum + events, 0),
      heldBy: [...new Set(horizons.map(({ heldBy }) => heldBy))].join('; '),
    }
  }

  /** Messages of other kinds after it say nothing about the place of a reader. */
  async #newestEvent(stream: Stream): Promise<number> {
    const { log } = this.#log.names
    const newest = await Promise.all(['e', 't'].map(kind => stream.last(`${log}.${kind}.>`)))
    return Math.max(0, ...newest.map(message => message?.seq ?? 0))
  }

  /** The number of events and turns. */
  async #purge(stream: Stream, horizon: number): Promise<number> {
    const { log } = this.#log.names
    const purged = storedKinds.map(kind => stream.purge(`${log}.${kind}.>`, horizon))
    const [published = 0, turns = 0] = await Promise.all(purged)
    return published + turns
  }

  /** First offset whose event is not older: times follow offsets closely enough for a binary search. */
  async #firstSince(stream: Stream, cutoff: number, head: number): Promise<number> {
    const first = (await stream.info()).state.first_seq
    const search = new TimeSearch({ first, head, cutoff })
    for (let probe; (probe = search.probe) !== undefined; )
      search.answer(await this.#eventFrom(stream, probe, search.below))
    return search.offset
  }

  /** The first event at an offset or after it. */
  async #eventFrom(stream: Stream, from: number, below: number): Promise<{ offset: number; time: number } | undefined> {
    for await (const stored of stream.scan({ from, until: below - 1, page: 4 })) {
      const time = this.#timeOf(stored)
      if (time !== undefined) return { offset: stored.seq, time }
    }
    return undefined
  }

  #timeOf({ subject, text, header, at }: StoredMessage): number | undefined {
    const kind = subject[this.#log.names.log.length + 1]
    if (kind !== 'e' && kind !== 't') return undefined
    if (header(turnHeaders.body)) return at
    return Date.parse((JSON.parse(text().split('\n', 1)[0]!) as CloudEvent).time)
  }

  /** By partition. */
  async #liveTasks(): Promise<LogHolder[][]> {
    const { names, partitions } = this.#log
    const holders: LogHolder[][] = partitions.map(() => [])
    for (let shard = 0; shard < names.shards; shard++)
      for (const [task, { origin }] of (await foldShard(this.#log, shard)).live)
        holders[names.partitionOf(shard)]!.push({ offset: origin, heldBy: `task ${task}` })
    return holders
  }

  /** The first offset in a partition that each group has not settled. */
  async #cursors(groups: readonly GroupDocument[], partition: number, head: number): Promise<LogHolder[]> {
    const next = ({ num_ack_pending, num_pending, ack_floor, delivered }: ConsumerInfo) =>
      num_ack_pending > 0 ? ack_floor.stream_seq + 1 : num_pending > 0 ? delivered.stream_seq + 1 : head + 1
    return Promise.all(
      groups.map(async ({ group, mode }) => {
        const infos = await this.#groups.infos(group, mode, partition)
        return { offset: Math.min(head + 1, ...infos.map(next)), heldBy: `group ${group}` }
      }),
    )
  }

  /** A finished task whose last turn goes keeps its name. `horizons`: by partition. */
  async #sealFinished(horizons: readonly number[], age: number): Promise<void> {
    const { names, partitions } = this.#log
    const finished = new Map<number, string[]>()
    let newest = 0
    for (const [partition, stream] of partitions.entries())
      for await (const stored of stream.scan({ subject: `${names.log}.t.>`, until: horizons[partition]! - 1 })) {
        newest = Math.max(newest, stored.at)
        if (!stored.header(turnHeaders.end)) continue
        const task = taskOf(stored.subject)
        const shard = names.shardOf(correlationOf(task))
        const tasks = finished.get(shard)
        if (tasks) tasks.push(task)
        else finished.set(shard, [task])
      }
    if (newest > 0) await this.#tombstones.add(finished, newest, age)
  }

  /** A blob is written before the event that names it, hence older: what is left needs none that is older than itself. */
  async #purgeBlobs(horizons: readonly number[], cutoff: number): Promise<void> {
    const firsts = await Promise.all(this.#log.partitions.map((stream, i) => stream.next('>', horizons[i]!)))
    let oldest = Math.min(cutoff, ...firsts.map(first => first?.at ?? cutoff))
    for await (const { event } of this.#deferred.list())
      if (hasBlobData(event)) oldest = Math.min(oldest, Date.parse(event.time))
    await this.#blobs.purge(oldest - blobSlackMs)
  }
}

/** From the writing of a blob to the publishing of the event that names it. */
const blobSlackMs = 60 * 60_000

function unlessFull(error: unknown): false {
  if (error instanceof TidingsError && error.code === 'E_LOG_UNAVAILABLE') return false
  throw error
}
