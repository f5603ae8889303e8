import { committedRecords } from '../../kafka/committed.ts'
import type { KafkaInbox } from './inbox.ts'
import type { TopicConsumer, PartitionPlace } from './topic-consumer.ts'
import { toTopicRecord, topicOrigin } from './record.ts'

/**
 * Reads the partitions that this process owns, until the group is divided again. There is one fetch at a time for each broker, and the next
 * one is sent when everything of the last is on the log: a slow log slows down the fetches, and memory holds one answer of each broker.
 */
export class PartitionReader {
  readonly #member: TopicConsumer
  readonly #inbox: KafkaInbox
  readonly #warn: (text: string) => void

  constructor(member: TopicConsumer, inbox: KafkaInbox, warn: (text: string) => void) {
    this.#member = member
    this.#inbox = inbox
    this.#warn = warn
  }

  /** Resolves when the signal aborts. `onProgress`: a fetch succeeded. */
  async run(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const places = await this.#member.places()
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    const reading = [...Map.groupBy(places, ({ leader }) => leader)].map(async ([leader, led]) => {
      try {
        await this.#read(leader, led, either, onProgress)
      } catch (error) {
        failed.abort(error)
        throw error
      }
    })
    if (reading.length === 0) await aborted(signal)
    // All have ended before anything else reads the same partitions.
    const outcomes = await Promise.allSettled(reading)
    for (const outcome of outcomes) if (outcome.status === 'rejected' && !signal.aborted) throw outcome.reason
  }

  async #read(
    leader: number,
    places: readonly PartitionPlace[],
    signal: AbortSignal,
    onProgress: () => void,
  ): Promise<void> {
    const uncommitted = new Set<PartitionPlace>()
    const commit = async () => {
      const mine = [...uncommitted].filter(place => this.#member.owns(place))
      await this.#member.commit(mine)
      uncommitted.clear()
    }
    try {
      while (!signal.aborted) {
        const response = await this.#fetch(leader, places)
        onProgress()
        await Promise.all(
          response.responses.flatMap(({ topicId, partitions }) =>
            partitions.map(async fetched => {
              const place = places.find(each => each.topicId === topicId && each.partition === fetched.partitionIndex)
              if (place) await this.#take(place, fetched, uncommitted, signal)
            }),
          ),
        )
        if (uncommitted.size > 0) await commit().catch(() => {})
      }
    } finally {
      // What is not committed is read again, and meets its events.
      if (uncommitted.size > 0) await commit().catch(() => {})
    }
  }

  async #take(
    place: PartitionPlace,
    fetched: Parameters<typeof committedRecords>[0],
    uncommitted: Set<PartitionPlace>,
    signal: AbortSignal,
  ): Promise<void> {
    const { topic, partition, topicId, cluster } = place
    const { records, next } = committedRecords(fetched, place.offset)
    const advance = (offset: bigint) => {
      if (offset === place.offset) return
      place.offset = offset
      uncommitted.add(place)
    }
    const origin = topicOrigin(cluster, topic, topicId)
    const typed = records.map(record => toTopicRecord(topic, partition, record))
    try {
      for await (const stored of this.#inbox.store(typed, origin, signal)) advance(records[stored - 1]!.offset + 1n)
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    if (!signal.aborted || records.length === 0) advance(next)
  }

  async #fetch(leader: number, places: readonly PartitionPlace[]) {
    try {
      return await this.#member.fetch(leader, places)
    } catch (error) {
      if (!this.#member.isOutOfRange(error)) throw error
      await this.#moveIntoRange(places)
      return this.#member.fetch(leader, places)
    }
  }

  /** Records were removed before they were read, or the topic was made again. */
  async #moveIntoRange(places: readonly PartitionPlace[]): Promise<void> {
    for (const [topic, members] of Map.groupBy(places, place => place.topic)) {
      const { first, last } = await this.#member.bounds(topic)
      for (const place of members) {
        const [begin, end] = [first[place.partition]!, last[place.partition]!]
        if (place.offset >= begin && place.offset <= end) continue
        const what =
          place.offset < begin
            ? `${begin - place.offset} records were removed before they were read`
            : 'the topic was made again'
        this.#warn(`${topic}, partition ${place.partition}: ${what}; continues at offset ${begin}`)
        place.offset = begin
      }
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
}
