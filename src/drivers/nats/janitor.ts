import type { PurgeResult, Retention } from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import { hasBlobData } from '../../bus/routed.ts'
import type { CloudEvent } from '../../event.ts'
import { TimeSearch } from '../../bus/search-by-time.ts'
import { type LogHolder, retentionHorizon } from '../shared/retention.ts'
import type { DeferredDeliveries } from './deferred-deliveries.ts'
import type { Blobs } from './blobs.ts'
import type { ConsumerInfo, Groups } from './groups.ts'
import { foldShard } from './task-checkpoint.ts'
import type { NatsLog } from './provision.ts'
import type { TaskTombstones } from './task-tombstones.ts'
import type { StoredMessage } from './stored-message.ts'
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

  async clean({ maxAgeMs, maxLag }: Retention): Promise<PurgeResult> {
    const head = await this.#log.events.head()
    const { horizon, heldBy } = retentionHorizon({
      head,
      young: await this.#firstSince(Date.now() - maxAgeMs, head),
      maxLag,
      tasks: await this.#liveTasks(),
      groups: await this.#cursors(head),
    })
    await this.#sealFinished(horizon, maxAgeMs)
    const { events, names } = this.#log
    const kinds = ['e', 't', 'r', 'w'].map(kind => events.purge(`${names.log}.${kind}.>`, horizon))
    const [published = 0, turns = 0] = await Promise.all(kinds)
    await this.#purgeBlobs(horizon, Date.now() - maxAgeMs)
    return { events: published + turns, horizon: String(horizon - 1), heldBy }
  }

  /** First offset whose event is not older: times follow offsets closely enough for a binary search. */
  async #firstSince(cutoff: number, head: number): Promise<number> {
    const first = (await this.#log.events.info()).state.first_seq
    const search = new TimeSearch({ first, head, cutoff })
    for (let probe; (probe = search.probe) !== undefined; ) search.answer(await this.#event(probe, search.below))
    return search.offset
  }

  /** The first event at an offset or after it. */
  async #event(from: number, below: number): Promise<{ offset: number; time: number } | undefined> {
    for await (const stored of this.#log.events.scan({ from, until: below - 1, page: 4 })) {
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

  async #liveTasks(): Promise<LogHolder[]> {
    const holders: LogHolder[] = []
    for (let shard = 0; shard < this.#log.names.shards; shard++)
      for (const [task, { origin }] of (await foldShard(this.#log, shard)).live)
        holders.push({ offset: origin, heldBy: `task ${task}` })
    return holders
  }

  /** The first position of each group that is not settled. */
  async #cursors(head: number): Promise<LogHolder[]> {
    const next = ({ num_ack_pending, num_pending, ack_floor, delivered }: ConsumerInfo) =>
      num_ack_pending > 0 ? ack_floor.stream_seq + 1 : num_pending > 0 ? delivered.stream_seq + 1 : head + 1
    const groups = await this.#groups.list()
    return Promise.all(
      groups.map(async ({ group, mode }) => {
        const infos = await this.#groups.infos(group, mode)
        return { offset: Math.min(head + 1, ...infos.map(next)), heldBy: `group ${group}` }
      }),
    )
  }

  /** A finished task whose last turn goes keeps its name. */
  async #sealFinished(horizon: number, age: number): Promise<void> {
    const finished = new Map<number, string[]>()
    let newest = 0
    for await (const stored of this.#log.events.scan({ subject: `${this.#log.names.log}.t.>`, until: horizon - 1 })) {
      newest = Math.max(newest, stored.at)
      if (!stored.header(turnHeaders.end)) continue
      const task = taskOf(stored.subject)
      const shard = this.#log.names.shardOf(correlationOf(task))
      const names = finished.get(shard)
      if (names) names.push(task)
      else finished.set(shard, [task])
    }
    if (newest > 0) await this.#tombstones.add(finished, newest, age)
  }

  /** A blob is written before the event that names it, hence older: what is left needs none that is older than itself. */
  async #purgeBlobs(horizon: number, cutoff: number): Promise<void> {
    let oldest = cutoff
    const first = await this.#log.events.next('>', horizon)
    if (first) oldest = Math.min(oldest, first.at)
    for await (const { event } of this.#deferred.list())
      if (hasBlobData(event)) oldest = Math.min(oldest, Date.parse(event.time))
    await this.#blobs.purge(oldest - blobSlackMs)
  }
}

/** From the writing of a blob to the publishing of the event that names it. */
const blobSlackMs = 60 * 60_000
