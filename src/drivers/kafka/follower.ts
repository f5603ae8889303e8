import { setTimeout as sleep } from 'node:timers/promises'
import { fetchV16 } from '@platformatic/kafka'
import type { Position } from '../../bus/driver.ts'
import type { TidingsError } from '../../errors.ts'
import type { KafkaCluster, TopicPartition } from './cluster.ts'
import { readPage } from './fetch-page.ts'
import { LogEnds } from './log-ends.ts'
import type { IndexedTopic, LocalIndex, PartitionPage, StateChange } from './local-index.ts'
import type { LogNames } from './names.ts'
import { topicPartition } from './records.ts'
import { KafkaRefusal } from './refusal.ts'
import type { FetchAnswer, FetchedPartition } from './requests.ts'

/** What grew in the index. */
export interface LogChange {
  /** Partitions of the events that have new ones. */
  readonly events: readonly number[]
  readonly state: readonly StateChange[]
}

const pollMs = 500
const maxFetchBytes = 8 << 20
const maxPartitionBytes = 2 << 20
const readCommitted = 1
const pauseMs = 100
const maxLooks = 5

/** Reads all partitions of the events and the state into the index, from every broker that leads some, until it is closed. */
export class LogFollower {
  readonly #cluster: KafkaCluster
  readonly #names: LogNames
  readonly #index: LocalIndex
  readonly #ends: LogEnds
  readonly #listeners = new Set<(change: LogChange) => void>()
  /** Each fetches from one broker. */
  readonly #loops = new Map<number, Promise<void>>()
  /** Partitions whose answer is awaited: a partition that moves is not fetched from two brokers at once. */
  readonly #fetching = new Set<string>()
  /** What failed, by broker; -1 for the metadata. */
  readonly #failures = new Map<number, unknown>()
  /** Partitions with an open transaction: since when their stable end has been where it is. */
  readonly #held = new Map<
    string,
    { readonly place: TopicPartition; readonly stable: number; readonly since: number }
  >()
  #isClosed = false
  #isLost = false
  #supervisor: Promise<void> | undefined
  #changed = Promise.withResolvers<void>()

  /** Makes the log again: the topics are not those that the index has read. Following goes on when it resolves. */
  onLost: () => Promise<void> = async () => {}
  /** A partition has less than what was read, and is read again. */
  onTruncated: (partition: number) => void = () => {}

  constructor(cluster: KafkaCluster, names: LogNames, index: LocalIndex) {
    this.#cluster = cluster
    this.#names = names
    this.#index = index
    this.#ends = new LogEnds(cluster, names, index)
  }

  /** Why the log cannot be read now. */
  get problem(): TidingsError | undefined {
    const [first] = this.#failures.values()
    return first === undefined ? undefined : this.#cluster.unavailable(first)
  }

  start(): void {
    this.#supervisor ??= this.#supervise()
  }

  /** Calls back after the index grew. Returns the function that removes the callback. */
  onChange(callback: (change: LogChange) => void): () => void {
    const listener = (change: LogChange) => callback(change)
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Resolves when the index covers everything that was written before the call, by anybody, also what a transaction has written that
   * was still open. `partitions`: default all. @throws E_LOG_UNAVAILABLE
   */
  freshen(partitions?: readonly number[]): Promise<void> {
    return this.#ends.freshen(partitions)
  }

  /** Partitions that an open transaction has held back for this long, with no progress at all. */
  heldBack(ms: number): TopicPartition[] {
    const until = performance.now() - ms
    return [...this.#held.values()].filter(({ since }) => since <= until).map(({ place }) => place)
  }

  /** Resolves when the index covers these offsets. @throws E_LOG_UNAVAILABLE */
  reach(positions: readonly Position[]): Promise<void> {
    return this.#ends.reach(positions.map(({ partition, offset }) => ({ topic: 'events', partition, end: offset })))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#changed.resolve()
    this.#ends.close()
    await this.#cluster.closeLane('fetch')
    await this.#supervisor
    await Promise.all(this.#loops.values())
  }

  async #supervise(): Promise<void> {
    while (!this.#isClosed) {
      try {
        const leaders = await this.#cluster.leaders()
        this.#failures.delete(-1)
        if (!(await this.#isSameLog())) {
          this.#isLost = true
          await Promise.all(this.#loops.values())
          await this.onLost()
          this.#isLost = false
          this.#failures.clear()
          continue
        }
        for (const node of this.#failures.keys()) if (!leaders.has(node)) this.#failures.delete(node)
        for (const node of leaders.keys())
          if (node >= 0 && !this.#loops.has(node)) this.#loops.set(node, this.#loop(node))
      } catch (error) {
        this.#cluster.refresh()
        this.#failures.set(-1, error)
      }
      await Promise.race([this.#changed.promise, sleep(1_000, undefined, { ref: false })])
      this.#changed = Promise.withResolvers()
      if (this.#failures.size > 0) await sleep(pauseMs)
    }
  }

  async #isSameLog(): Promise<boolean> {
    for (let looks = 0; ; looks++) {
      const ids = [this.#names.events, this.#names.state].map(async topic => {
        const id = await this.#cluster.topicId(topic)
        return { isFound: id !== undefined, isSame: id === this.#index.meta(topic) }
      })
      const found = await Promise.all(ids)
      if (found.every(({ isSame }) => isSame)) return true
      // A broker that has just started may not know the topics yet.
      if (found.every(({ isFound }) => isFound) || looks === maxLooks || this.#isClosed) return false
      await sleep(pauseMs)
      this.#cluster.refresh()
    }
  }

  async #loop(node: number): Promise<void> {
    try {
      while (!this.#isClosed && !this.#isLost) {
        const led = (await this.#cluster.leaders()).get(node) ?? []
        const wanted = led.filter(
          ({ topic, partition }) => this.#isFollowed(topic) && !this.#fetching.has(topicPartition(topic, partition)),
        )
        if (wanted.length === 0) break
        await this.#fetch(node, wanted)
        this.#failures.delete(node)
      }
    } catch (error) {
      if (!this.#isClosed) this.#failures.set(node, error)
      this.#cluster.refresh()
    }
    this.#loops.delete(node)
    this.#changed.resolve()
  }

  async #fetch(node: number, wanted: readonly TopicPartition[]): Promise<void> {
    const keys = wanted.map(({ topic, partition }) => topicPartition(topic, partition))
    for (const key of keys) this.#fetching.add(key)
    try {
      const answer = await this.#request(node, wanted)
      const byId = new Map(this.#followed.map(topic => [this.#index.meta(this.#topicName(topic)), topic]))
      const found = answer.responses.flatMap(({ topicId, partitions }) =>
        partitions.map(partition => ({ topic: byId.get(topicId)!, found: partition })),
      )
      this.#ingest(found)
      await this.#repair(found)
    } finally {
      for (const key of keys) this.#fetching.delete(key)
    }
  }

  async #request(node: number, wanted: readonly TopicPartition[]): Promise<FetchAnswer> {
    const topics = [...Map.groupBy(wanted, ({ topic }) => topic)].map(([topic, list]) => ({
      topicId: this.#index.meta(topic)!,
      partitions: list.map(({ partition }) => ({
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(this.#index.covered(this.#kindOf(topic), partition)),
        lastFetchedEpoch: -1,
        partitionMaxBytes: maxPartitionBytes,
      })),
    }))
    try {
      return await this.#cluster.ask(
        fetchV16.api,
        { node },
        [pollMs, 1, maxFetchBytes, readCommitted, 0, -1, topics, [], ''],
        { lane: 'fetch', isRepeatable: true, timeoutMs: 0 },
      )
    } catch (error) {
      // For the client, an error of one partition is one of the whole answer.
      const response =
        error instanceof KafkaRefusal && (error.cause as { response?: FetchAnswer } | undefined)?.response
      if (response && response.errorCode === 0) return response
      throw error
    }
  }

  #ingest(fetched: readonly { readonly topic: IndexedTopic; readonly found: FetchedPartition }[]): void {
    const isQuiet = fetched.every(({ found }) => !found.records?.length)
    const pages: PartitionPage[] = []
    for (const { topic, found } of fetched) {
      if (found.errorCode !== 0) continue
      const partition = found.partitionIndex
      this.#watchStable(topic, found)
      const after = this.#index.covered(topic, partition)
      const { records, covered } = readPage(found, after)
      // Compaction may have removed the records at the end.
      const end = isQuiet && topic === 'state' ? Math.max(covered, Number(found.lastStableOffset)) : covered
      const deleted = topic === 'events' ? Number(found.logStartOffset) : 0
      if (end === after && deleted <= this.#index.deleted(partition)) continue
      pages.push({ topic, partition, records, covered: end, deleted })
    }
    this.#add(pages)
  }

  #watchStable(
    topic: IndexedTopic,
    { partitionIndex: partition, lastStableOffset, highWatermark }: FetchedPartition,
  ): void {
    const place = { topic: this.#topicName(topic), partition }
    const key = topicPartition(place.topic, partition)
    const stable = Number(lastStableOffset)
    if (lastStableOffset >= highWatermark) this.#held.delete(key)
    else if (this.#held.get(key)?.stable !== stable) this.#held.set(key, { place, stable, since: performance.now() })
  }

  #add(pages: readonly PartitionPage[]): void {
    if (pages.length === 0) return
    const state = this.#index.add(pages)
    this.#ends.advanced()
    const events = pages.filter(({ topic, records }) => topic === 'events' && records.length > 0)
    if (events.length === 0 && state.length === 0) return
    const change = { events: events.map(({ partition }) => partition), state }
    for (const listener of this.#listeners) listener(change)
  }

  /** What a fetch was refused for: a new leader, or an offset that is not there. */
  async #repair(fetched: readonly { readonly topic: IndexedTopic; readonly found: FetchedPartition }[]): Promise<void> {
    for (const { topic, found } of fetched) {
      if (found.errorCode === 0) continue
      if (found.errorCode !== offsetOutOfRange) throw new KafkaRefusal(`error ${found.errorCode} of a fetch`, undefined)
      const partition = found.partitionIndex
      const { first, end } = await this.#ends.bounds(this.#topicName(topic), partition)
      const covered = this.#index.covered(topic, partition)
      if (covered > end) {
        this.#index.forget(topic, partition)
        this.onTruncated(partition)
        continue
      }
      // The broker deleted what was not read yet.
      this.#add([{ topic, partition, records: [], covered: first, deleted: topic === 'events' ? first : 0 }])
    }
  }

  readonly #followed: readonly IndexedTopic[] = ['events', 'state']
  readonly #topicName = (topic: IndexedTopic) => this.#names[topic]
  readonly #kindOf = (topic: string): IndexedTopic => (topic === this.#names.events ? 'events' : 'state')
  readonly #isFollowed = (topic: string) => topic === this.#names.events || topic === this.#names.state
}

const offsetOutOfRange = 1
