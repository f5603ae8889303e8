import type * as Kafka from '@platformatic/kafka'
import type { KafkaTriggerSettings } from './settings.ts'

/** A partition of a topic. */
export interface PartitionName {
  readonly topic: string
  readonly partition: number
}

export type FetchedTopics = Awaited<ReturnType<Kafka.Consumer['fetch']>>

/** Where to read next in a partition that this process owns. */
export interface PartitionPlace extends PartitionName {
  readonly topicId: string
  /** The broker that leads it. */
  readonly leader: number
  /** Tells topics of the same name in other clusters apart. */
  readonly cluster: string
  offset: bigint
}

const sessionTimeoutMs = 15_000
const rebalanceTimeoutMs = 30_000
const heartbeatIntervalMs = 3_000
const maxWaitMs = 500
const maxFetchBytes = 8 * 1024 * 1024
const maxPartitionBytes = 1024 * 1024
const [earliest, latest] = [-2n, -1n]
const readCommitted = 1

/** The membership of this process in the consumer group, and what it asks the brokers. */
export class TopicConsumer {
  readonly #package: typeof Kafka
  readonly #settings: KafkaTriggerSettings
  readonly #topics: string[]
  readonly #consumer: Kafka.Consumer
  /** Fetches wait at the broker, and would delay heartbeats on the same connection. */
  readonly #fetches: Kafka.ConnectionPool
  readonly #readTopicIds: Map<string, string>
  #partitionCounts = ''

  /**
   * `onAssigned`: called when the group has been divided again. `onError`: the membership ended. `readTopicIds`: of the topics that this
   * process has read, by name, also in memberships before this one.
   */
  constructor(
    kafka: typeof Kafka,
    settings: KafkaTriggerSettings,
    {
      onAssigned,
      onError,
      readTopicIds,
    }: { onAssigned: () => void; onError: (error: Error) => void; readTopicIds: Map<string, string> },
  ) {
    this.#package = kafka
    this.#settings = settings
    this.#readTopicIds = readTopicIds
    this.#topics = [...settings.routes.keys()]
    const clientId = `tidings-${settings.name}`
    const client = settings.client()
    this.#consumer = new kafka.Consumer({
      ...client,
      clientId,
      groupId: settings.group,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      heartbeatInterval: heartbeatIntervalMs,
      retries: 1,
      retryDelay: 250,
    })
    this.#fetches = new kafka.ConnectionPool(clientId, client)
    this.#consumer.on('consumer:group:join', onAssigned)
    this.#consumer.on('error' as never, onError as never)
  }

  async join(): Promise<void> {
    await this.#metadata(true)
    this.#consumer.topics.trackAll(...this.#topics)
    await this.#rejoin()
  }

  /** Divides the group again if a topic got partitions: the protocol does not notice. */
  async rejoinIfPartitionsChanged(): Promise<void> {
    const known = this.#partitionCounts
    await this.#metadata(true)
    if (this.#partitionCounts !== known) await this.#rejoin()
  }

  owns({ topic, partition }: PartitionName): boolean {
    return (this.#consumer.assignments ?? []).some(
      assigned => assigned.topic === topic && assigned.partitions.includes(partition),
    )
  }

  /** The partitions of this process, and where the group is in each. */
  async places(): Promise<PartitionPlace[]> {
    const assigned = (this.#consumer.assignments ?? []).flatMap(({ topic, partitions }) =>
      partitions.map(partition => ({ topic, partition })),
    )
    if (assigned.length === 0) return []
    const { id: cluster, topics } = await this.#metadata(true)
    const offsets = await this.#startOffsets(new Set(assigned.map(({ topic }) => topic)), topics)
    return assigned.map(({ topic, partition }) => {
      const { id, partitions } = topics.get(topic)!
      const { leader } = partitions[partition]!
      return { topic, partition, topicId: id, leader, cluster, offset: offsets.get(topic)![partition]! }
    })
  }

  /**
   * Where the group is in each partition of these topics. A group without a place in any partition of a topic begins as `from` says, in all
   * of them at once, and that is committed: a partition that is added later begins at its beginning. So does a topic that was made again
   * while this process read it, because brokers forget the place of a topic that is deleted.
   */
  async #startOffsets(
    names: ReadonlySet<string>,
    topics: Kafka.ClusterMetadata['topics'],
  ): Promise<Map<string, bigint[]>> {
    const all = [...names].map(topic => ({
      topic,
      partitions: Array.from({ length: topics.get(topic)!.partitionsCount }, (_, i) => i),
    }))
    const committed = await this.#consumer.listCommittedOffsets({ topics: all })
    const offsets = new Map<string, bigint[]>()
    for (const { topic, partitions } of all) {
      const known = committed.get(topic) ?? []
      const isKnown = (partition: number) => (known[partition] ?? -1n) >= 0n
      if (partitions.every(isKnown)) {
        offsets.set(topic, known)
        continue
      }
      const isNew = !partitions.some(isKnown)
      const { id } = topics.get(topic)!
      const isMadeAgain = (this.#readTopicIds.get(topic) ?? id) !== id
      const isFromNow = isNew && !isMadeAgain && this.#settings.from === 'now'
      const beginning = await this.#listOffsets(topic, isFromNow ? latest : earliest)
      const starts = partitions.map(partition => (isKnown(partition) ? known[partition]! : beginning[partition]!))
      offsets.set(topic, starts)
      if (isNew) await this.commit(starts.map((offset, partition) => ({ topic, partition, offset })))
    }
    for (const topic of names) this.#readTopicIds.set(topic, topics.get(topic)!.id)
    return offsets
  }

  async #listOffsets(topic: string, timestamp: bigint): Promise<bigint[]> {
    const found = await this.#consumer.listOffsets({ topics: [topic], timestamp, isolationLevel: readCommitted })
    return found.get(topic)!
  }

  /** The first and the last offset that a fetch may ask for, of each partition of a topic. */
  async bounds(topic: string): Promise<{ first: bigint[]; last: bigint[] }> {
    return { first: await this.#listOffsets(topic, earliest), last: await this.#listOffsets(topic, latest) }
  }

  /** What the broker has after these places, which it leads. Waits up to half a second. */
  async fetch(leader: number, places: readonly PartitionPlace[]): Promise<FetchedTopics> {
    const byTopic = Map.groupBy(places, ({ topicId }) => topicId)
    return this.#consumer.fetch({
      node: leader,
      connectionPool: this.#fetches,
      isolationLevel: readCommitted,
      minBytes: 1,
      maxBytes: maxFetchBytes,
      maxWaitTime: maxWaitMs,
      topics: [...byTopic].map(([topicId, members]) => ({
        topicId,
        partitions: members.map(({ partition, offset }) => ({
          partition,
          fetchOffset: offset,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
          partitionMaxBytes: maxPartitionBytes,
        })),
      })),
    })
  }

  /** Everything before these offsets is on the log. */
  async commit(places: readonly (PartitionName & { readonly offset: bigint })[]): Promise<void> {
    const offsets = places.map(({ topic, partition, offset }) => ({ topic, partition, offset, leaderEpoch: -1 }))
    if (offsets.length > 0) await this.#consumer.commit({ offsets })
  }

  isOutOfRange(error: unknown): boolean {
    return error instanceof Error && this.#package.findErrorBy(error, 'apiId', 'OFFSET_OUT_OF_RANGE') !== null
  }

  async close(): Promise<void> {
    this.#consumer.removeAllListeners('consumer:group:join')
    await this.#consumer.close(true).catch(() => {})
    await this.#fetches.close().catch(() => {})
  }

  async #rejoin(): Promise<void> {
    await this.#consumer.joinGroup({})
  }

  async #metadata(forceUpdate: boolean): Promise<Kafka.ClusterMetadata> {
    const metadata = await this.#consumer.metadata({ topics: this.#topics, forceUpdate })
    this.#partitionCounts = this.#topics.map(topic => metadata.topics.get(topic)?.partitionsCount).join()
    return metadata
  }
}
