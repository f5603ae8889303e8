import { setTimeout as sleep } from 'node:timers/promises'
import { fetchV16, listOffsetsV7, produceV9 } from '@platformatic/kafka'
import { eventFrom } from '../../bus/malformed.ts'
import type { CloudEvent } from '../../event.ts'
import type { KafkaCluster } from './cluster.ts'
import { readPage } from './fetch-page.ts'
import type { LogNames } from './names.ts'
import { messageOf } from './records.ts'

type Listener = (event: CloudEvent) => void

const maxWaiting = 1_000
const maxBatch = 200
const pollMs = 500
const latest = -1n
const maxBytes = 1 << 20

/** Events that are not kept: a topic of one partition with a short retention, read from its end while somebody listens. */
export class KafkaSignals {
  readonly #cluster: KafkaCluster
  readonly #topic: string
  readonly #listeners = new Set<Listener>()
  readonly #waiting: string[] = []
  /** Where reading begins; what this process sends must not come before it. */
  #place: Promise<number> | undefined
  #isSending = false
  #isClosed = false

  constructor(cluster: KafkaCluster, names: LogNames) {
    this.#cluster = cluster
    this.#topic = names.signals
  }

  send(event: CloudEvent): void {
    if (this.#isClosed || this.#waiting.length >= maxWaiting) return
    this.#waiting.push(JSON.stringify(event))
    if (!this.#isSending) void this.#flush()
  }

  listen(callback: Listener): () => void {
    const listener: Listener = event => callback(event)
    this.#listeners.add(listener)
    if (!this.#place) void this.#read()
    return () => void this.#listeners.delete(listener)
  }

  close(): void {
    this.#isClosed = true
    this.#listeners.clear()
  }

  /** What cannot be sent is dropped. */
  async #flush(): Promise<void> {
    this.#isSending = true
    while (this.#waiting.length > 0 && !this.#isClosed) {
      await this.#place?.catch(() => {})
      const records = this.#waiting
        .splice(0, maxBatch)
        .map(value => messageOf({ topic: this.#topic, partition: 0, key: '', value }))
      await this.#cluster
        .ask(produceV9.api, this.#leader, [1, this.#cluster.timeoutMs, records, {}], { lane: 'signals' })
        .catch(() => {})
    }
    this.#isSending = false
  }

  async #read(): Promise<void> {
    while (this.#listeners.size > 0 && !this.#isClosed) {
      try {
        this.#place ??= this.#end()
        let place = await this.#place
        while (this.#listeners.size > 0 && !this.#isClosed) place = await this.#fetch(place)
      } catch {
        // The broker is away, or has deleted what was not read yet.
        await sleep(pollMs, undefined, { ref: false })
      }
      this.#place = undefined
    }
  }

  async #end(): Promise<number> {
    const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: latest }]
    const answer = await this.#cluster.ask(
      listOffsetsV7.api,
      this.#leader,
      [-1, 0, [{ name: this.#topic, partitions }]],
      {
        isRepeatable: true,
      },
    )
    return Number(answer.topics[0]!.partitions[0]!.offset)
  }

  async #fetch(place: number): Promise<number> {
    const topicId = (await this.#cluster.topicId(this.#topic)) ?? ''
    const wanted = {
      partition: 0,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(place),
      lastFetchedEpoch: -1,
      partitionMaxBytes: maxBytes,
    }
    const topics = [{ topicId, partitions: [wanted] }]
    const answer = await this.#cluster.ask(
      fetchV16.api,
      this.#leader,
      [pollMs, 1, maxBytes, 0, 0, -1, topics, [], ''],
      { lane: 'signals-fetch', isRepeatable: true },
    )
    const found = answer.responses[0]?.partitions[0]
    if (!found) return place
    const { records, covered } = readPage(found, place)
    for (const { value } of records)
      for (const listener of this.#listeners) {
        // Each listener gets an object of its own.
        const event = value === null ? undefined : eventFrom(value.toString())
        if (event) listener(event)
      }
    return covered
  }

  get #leader() {
    return { leader: { topic: this.#topic, partition: 0 } }
  }
}
