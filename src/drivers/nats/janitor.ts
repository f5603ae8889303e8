import type { PurgeResult, Retention } from '../../bus/driver.ts'
import { hasBlobData } from '../../bus/routed.ts'
import type { CloudEvent } from '../../event.ts'
import type { Aside } from './aside.ts'
import type { Blobs } from './blobs.ts'
import type { ConsumerInfo, Groups } from './groups.ts'
import { foldShard } from './live.ts'
import type { Log } from './provision.ts'
import type { Seals } from './seals.ts'
import type { StoredMessage } from './stored-message.ts'
import { taskOf, turnHeaders } from './turns.ts'

interface Holder {
  readonly position: number
  readonly heldBy: string
}

/** What may go from the log, by position: nothing that a live task, a group or its members still need. */
export class Janitor {
  readonly #log: Log
  readonly #groups: Groups
  readonly #seals: Seals
  readonly #aside: Aside
  readonly #blobs: Blobs

  constructor(log: Log, groups: Groups, seals: Seals, aside: Aside, blobs: Blobs) {
    this.#log = log
    this.#groups = groups
    this.#seals = seals
    this.#aside = aside
    this.#blobs = blobs
  }

  async clean({ age, maxLag }: Retention): Promise<PurgeResult> {
    const head = await this.#log.events.head()
    const old = await this.#firstSince(Date.now() - age, head)
    const holders: Holder[] = [{ position: old, heldBy: 'age' }, ...(await this.#liveTasks())]
    const reports: string[] = []
    for (const { position, heldBy } of await this.#cursors(head)) {
      const lag = head + 1 - position
      if (lag <= maxLag) holders.push({ position, heldBy })
      else if (position < old) reports.push(`${heldBy} no longer holds the log back: it is ${lag} events behind`)
    }
    const { position: horizon, heldBy } = holders.reduce((first, next) =>
      next.position < first.position ? next : first,
    )
    await this.#sealFinished(horizon, age)
    const { events, names } = this.#log
    const kinds = ['e', 't', 'r', 'w'].map(kind => events.purge(`${names.log}.${kind}.>`, horizon))
    const [published = 0, turns = 0] = await Promise.all(kinds)
    await this.#purgeBlobs(horizon, Date.now() - age)
    return { events: published + turns, horizon, heldBy: [heldBy, ...reports].join('; ') }
  }

  /** First position whose event is not older: times follow positions closely enough for a binary search. */
  async #firstSince(cutoff: number, head: number): Promise<number> {
    let [low, high] = [(await this.#log.events.info()).state.first_seq, head + 1]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const found = await this.#event(middle, high)
      if (found && found.time < cutoff) low = found.seq + 1
      else high = middle
    }
    return low
  }

  /** The first event at a position or after it. */
  async #event(from: number, below: number): Promise<{ seq: number; time: number } | undefined> {
    for await (const stored of this.#log.events.scan({ from, until: below - 1, page: 4 })) {
      const time = this.#timeOf(stored)
      if (time !== undefined) return { seq: stored.seq, time }
    }
    return undefined
  }

  #timeOf({ subject, text, header, at }: StoredMessage): number | undefined {
    const kind = subject[this.#log.names.log.length + 1]
    if (kind !== 'e' && kind !== 't') return undefined
    if (header(turnHeaders.body)) return at
    return Date.parse((JSON.parse(text().split('\n', 1)[0]!) as CloudEvent).time)
  }

  async #liveTasks(): Promise<Holder[]> {
    const holders: Holder[] = []
    for (let shard = 0; shard < this.#log.names.shards; shard++)
      for (const [task, { origin }] of (await foldShard(this.#log, shard)).live)
        holders.push({ position: origin, heldBy: `task ${task}` })
    return holders
  }

  /** The first position of each group that is not settled. */
  async #cursors(head: number): Promise<Holder[]> {
    const next = ({ num_ack_pending, num_pending, ack_floor, delivered }: ConsumerInfo) =>
      num_ack_pending > 0 ? ack_floor.stream_seq + 1 : num_pending > 0 ? delivered.stream_seq + 1 : head + 1
    const groups = await this.#groups.list()
    return Promise.all(
      groups.map(async ({ group, mode }) => {
        const infos = await this.#groups.infos(group, mode)
        return { position: Math.min(head + 1, ...infos.map(next)), heldBy: `group ${group}` }
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
      const shard = this.#log.names.shardOf(task.slice(0, 36))
      const names = finished.get(shard)
      if (names) names.push(task)
      else finished.set(shard, [task])
    }
    if (newest > 0) await this.#seals.add(finished, newest, age)
  }

  /** A blob is written before the event that names it, hence older: what is left needs none that is older than itself. */
  async #purgeBlobs(horizon: number, cutoff: number): Promise<void> {
    let oldest = cutoff
    const first = await this.#log.events.next('>', horizon)
    if (first) oldest = Math.min(oldest, first.at)
    for await (const { event } of this.#aside.list())
      if (hasBlobData(event)) oldest = Math.min(oldest, Date.parse(event.time))
    await this.#blobs.purge(oldest - blobSlackMs)
  }
}

/** From the writing of a blob to the publishing of the event that names it. */
const blobSlackMs = 60 * 60_000
