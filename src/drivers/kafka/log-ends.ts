import { listOffsetsV7 } from '@platformatic/kafka'
import { TidingsError } from '../../errors.ts'
import { shownKafkaAddress } from './address.ts'
import type { KafkaCluster, TopicPartition } from './cluster.ts'
import type { IndexedTopic, LocalIndex } from './local-index.ts'
import type { LogNames } from './names.ts'

/** The offset that the index must cover in a partition. */
export interface PartitionEnd {
  readonly topic: IndexedTopic
  readonly partition: number
  readonly end: number
}

interface Waiter {
  /** What the index does not cover yet. */
  ends: readonly PartitionEnd[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  timer: NodeJS.Timeout
}

const readUncommitted = 0
const latest = -1n
const earliest = -2n

/** Where the partitions end at the broker, and who waits until the index is there. */
export class LogEnds {
  readonly #cluster: KafkaCluster
  readonly #names: LogNames
  readonly #index: LocalIndex
  readonly #waiters = new Set<Waiter>()
  /** Asked, but not sent yet: every caller until then shares it. */
  #next: Promise<readonly PartitionEnd[]> | undefined
  #current: Promise<unknown> = Promise.resolve()

  constructor(cluster: KafkaCluster, names: LogNames, index: LocalIndex) {
    this.#cluster = cluster
    this.#names = names
    this.#index = index
  }

  /** Resolves when the index covers everything that was written before the call. @throws E_LOG_UNAVAILABLE */
  async freshen(partitions?: readonly number[]): Promise<void> {
    const ends = await (this.#next ??= this.#ask())
    const wanted = partitions ? ends.filter(({ partition }) => partitions.includes(partition)) : ends
    await this.reach(wanted)
  }

  /** The offsets of a partition that the broker has, in those of Kafka. */
  async bounds(topic: string, partition: number): Promise<{ first: number; end: number }> {
    const [first] = await this.#list([{ topic, partition }], earliest)
    const [end] = await this.#list([{ topic, partition }], latest)
    return { first: first!.end, end: end!.end }
  }

  /** The index has grown. */
  advanced(): void {
    for (const waiter of this.#waiters) {
      const left = waiter.ends.filter(end => !this.#isReached(end))
      if (left.length === waiter.ends.length) continue
      waiter.ends = left
      // There is progress, so the time starts again: a new index reads the whole log.
      waiter.timer.refresh()
      if (left.length > 0) continue
      this.#end(waiter)
      waiter.resolve()
    }
  }

  close(): void {
    for (const waiter of this.#waiters) {
      this.#end(waiter)
      waiter.reject(new TidingsError('E_BUS_CLOSED', 'the log is closed'))
    }
  }

  #ask(): Promise<readonly PartitionEnd[]> {
    const asked = (async () => {
      await this.#current.catch(() => {})
      this.#next = undefined
      const topics = [this.#names.events, this.#names.state]
      const all = topics.flatMap(topic =>
        Array.from({ length: this.#names.partitions }, (_, partition) => ({ topic, partition })),
      )
      const ends = await this.#list(all, latest)
      await this.#assertSame(topics)
      return ends
    })()
    this.#current = asked
    return asked
  }

  /** The ends of new topics say nothing about an index of the old ones. */
  async #assertSame(topics: readonly string[]): Promise<void> {
    for (const topic of topics)
      if ((await this.#cluster.topicId(topic)) !== this.#index.meta(topic))
        throw this.#cluster.unavailable(new Error(`the topic ${topic} was lost or replaced; it is being set up again`))
  }

  async #list(wanted: readonly TopicPartition[], timestamp: bigint): Promise<readonly PartitionEnd[]> {
    const leaders = await this.#cluster.leaders()
    const parts = [...leaders].map(([node, led]) => ({
      node,
      part: led.filter(each =>
        wanted.some(({ topic, partition }) => topic === each.topic && partition === each.partition),
      ),
    }))
    const found = await Promise.all(
      parts
        .filter(({ part }) => part.length > 0)
        .map(async ({ part }) => {
          const topics = [...Map.groupBy(part, ({ topic }) => topic)].map(([name, list]) => ({
            name,
            partitions: list.map(({ partition }) => ({ partitionIndex: partition, currentLeaderEpoch: -1, timestamp })),
          }))
          return this.#cluster.ask(listOffsetsV7.api, { leader: part[0]! }, [-1, readUncommitted, topics], {
            isRepeatable: true,
          })
        }),
    )
    return found.flatMap(({ topics }) =>
      topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partitionIndex, offset }) => ({
          topic: name === this.#names.events ? ('events' as const) : ('state' as const),
          partition: partitionIndex,
          end: Number(offset),
        })),
      ),
    )
  }

  /** Resolves when the index covers these offsets. @throws E_LOG_UNAVAILABLE */
  reach(ends: readonly PartitionEnd[]): Promise<void> {
    const left = ends.filter(end => !this.#isReached(end))
    if (left.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const expire = () => {
        this.#end(waiter)
        reject(this.#late(waiter))
      }
      const waiter: Waiter = { ends: left, resolve, reject, timer: setTimeout(expire, this.#cluster.timeoutMs) }
      this.#waiters.add(waiter)
    })
  }

  #end(waiter: Waiter): void {
    clearTimeout(waiter.timer)
    this.#waiters.delete(waiter)
  }

  #isReached({ topic, partition, end }: PartitionEnd): boolean {
    return this.#index.covered(topic, partition) >= end
  }

  #late({ ends }: Waiter): TidingsError {
    const { topic, partition, end } = ends[0]!
    return new TidingsError(
      'E_LOG_UNAVAILABLE',
      `${shownKafkaAddress(this.#cluster.address)}: ${this.#names[topic]}/${partition} can be read up to ${this.#index.covered(topic, partition)} of ${end}: the broker does not answer, or the transaction of a process that died is still open`,
      { retryable: true },
    )
  }
}
