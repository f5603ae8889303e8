import { hash } from 'node:crypto'
import { deleteRecordsV2, fetchV16 } from '@platformatic/kafka'
import type { BlobStore } from '../../bus/driver.ts'
import { readPage } from './fetch-page.ts'
import type { KafkaLog } from './kafka-log.ts'
import type { StateRow } from './local-index.ts'
import { stateRecord, type OutRecord } from './records.ts'

/** Where the chunks of a blob are, in the partition of its digest. */
interface BlobPlace {
  readonly offsets: readonly number[]
  /** When it was put, in ms since the epoch. */
  readonly at: number
}

const reference = /^sha256-([0-9a-f]{64})$/
const chunkBytes = 512 * 1024
const chunksAtOnce = 4
const readUncommitted = 0
const prefix = 'blob/'
const keyOf = (tenant: string, digest: string) => `${prefix}${encodeURIComponent(tenant)}/${digest}`

/**
 * Blobs as chunks in a topic of their own, which no process follows; the state says at which offsets they are. Putting a blob again
 * writes it again, so that a purge by age keeps it.
 */
export class TopicBlobs implements BlobStore {
  readonly #log: KafkaLog

  constructor(log: KafkaLog) {
    this.#log = log
  }

  async put(tenant: string, bytes: Uint8Array): Promise<string> {
    const { names, publisher, now } = this.#log
    const digest = hash('sha256', bytes, 'hex')
    const partition = names.partitionOf(digest)
    const chunks = Array.from({ length: Math.max(1, Math.ceil(bytes.length / chunkBytes)) }, (_, n): OutRecord => {
      const value = Buffer.from(bytes.subarray(n * chunkBytes, (n + 1) * chunkBytes))
      return { topic: names.blobs, partition, key: digest, value }
    })
    const offsets: number[] = []
    for (let n = 0; n < chunks.length; n += chunksAtOnce)
      for (const { offset } of await publisher.store(chunks.slice(n, n + chunksAtOnce))) offsets.push(offset)
    const place: BlobPlace = { offsets, at: now() }
    await publisher.store([stateRecord(names, partition, keyOf(tenant, digest), JSON.stringify(place))])
    return `sha256-${digest}`
  }

  async get(tenant: string, ref: string): Promise<Uint8Array | undefined> {
    const digest = reference.exec(ref)?.[1]
    if (!digest) return undefined
    const partition = this.#log.names.partitionOf(digest)
    await this.#log.follower.freshen([partition])
    const row = this.#log.index.state(keyOf(tenant, digest))
    if (!row) return undefined
    const { offsets } = JSON.parse(row.value) as BlobPlace
    const chunks = await this.#fetch(partition, offsets)
    const bytes = Buffer.concat(chunks)
    return hash('sha256', bytes, 'hex') === digest ? bytes : undefined
  }

  /** Removes what was last put before `cutoff`, except `kept`. */
  async purge(cutoff: number, kept: ReadonlySet<string>): Promise<void> {
    const { index, names, publisher } = this.#log
    const rows = index.statesOf(prefix)
    const isGone = ({ key, value }: StateRow) =>
      (JSON.parse(value) as BlobPlace).at < cutoff && !kept.has(`sha256-${key.slice(-64)}`)
    const gone = rows.filter(isGone)
    if (gone.length === 0) return
    await publisher.store(gone.map(({ partition, key }) => stateRecord(names, partition, key, null)))
    for (const [partition, list] of Map.groupBy(gone, row => row.partition)) {
      const left = rows.filter(row => row.partition === partition && !isGone(row))
      // What is being put now comes after everything that is removed.
      const last = Math.max(...list.flatMap(offsetsOf))
      await this.#delete(partition, Math.min(last, ...left.flatMap(offsetsOf).map(offset => offset - 1)))
    }
  }

  async #fetch(partition: number, offsets: readonly number[]): Promise<Buffer[]> {
    const { names, cluster } = this.#log
    const leader = { topic: names.blobs, partition }
    const topicId = (await cluster.topicId(names.blobs)) ?? ''
    const found = new Map<number, Buffer>()
    for (;;) {
      const next = offsets.find(offset => !found.has(offset))
      if (next === undefined) return offsets.map(offset => found.get(offset)!)
      const wanted = { currentLeaderEpoch: -1, fetchOffset: BigInt(next - 1), lastFetchedEpoch: -1 }
      const topics = [
        { topicId, partitions: [{ partition, ...wanted, partitionMaxBytes: chunkBytes * chunksAtOnce * 2 }] },
      ]
      const answer = await cluster.ask(
        fetchV16.api,
        { leader },
        [100, 1, chunkBytes * chunksAtOnce * 2, readUncommitted, 0, -1, topics, [], ''],
        { lane: 'blobs', isRepeatable: true },
      )
      const { records } = readPage(answer.responses[0]!.partitions[0]!, next - 1)
      for (const { offset, value } of records) if (offsets.includes(offset) && value) found.set(offset, value)
      if (!found.has(next))
        throw cluster.unavailable(new Error(`a chunk of a blob at ${names.blobs}/${partition} is missing`))
    }
  }

  async #delete(partition: number, last: number): Promise<void> {
    const { names, cluster } = this.#log
    const topics = [{ name: names.blobs, partitions: [{ partitionIndex: partition, offset: BigInt(last) }] }]
    const leader = { topic: names.blobs, partition }
    await cluster.ask(deleteRecordsV2.api, { leader }, [topics, cluster.timeoutMs], { isRepeatable: true })
  }
}

const offsetsOf = ({ value }: StateRow) => [...(JSON.parse(value) as BlobPlace).offsets]
