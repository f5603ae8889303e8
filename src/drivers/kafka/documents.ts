import type { DocumentStore } from '../../bus/driver.ts'
import type { KafkaLog } from './kafka-log.ts'
import { stateRecord } from './records.ts'
import { KafkaRefusal } from './refusal.ts'
import { TransactionalProducer } from './transactional-producer.ts'

interface StoredDocument {
  readonly revision: number
  readonly value: string
  /** Ms since the epoch; after that the document does not exist. */
  readonly until?: number
}

interface WaitingPut {
  readonly key: string
  readonly value: string
  readonly expect: number
  readonly ttlMs: number | undefined
  readonly resolve: (revision: number) => void
  readonly reject: (error: unknown) => void
}

const maxTakeOvers = 20
const keyOf = (key: string) => `document/${key}`

/**
 * Documents are keys of the state. A writer takes over the `transactional.id` of the partition, reads to its end, compares and commits: if
 * another one took over in between, the commit is refused. While nobody else writes, it remains the owner, and a write is one transaction.
 */
export class KafkaDocuments implements DocumentStore {
  readonly #log: KafkaLog
  readonly #lanes = new Map<number, DocumentLane>()

  constructor(log: KafkaLog) {
    this.#log = log
  }

  async getDocument(key: string): Promise<{ revision: number; value: string } | undefined> {
    const partition = this.#log.names.partitionOf(key)
    await this.#log.follower.freshen([partition])
    const found = current(this.#log, key)
    return found && { revision: found.revision, value: found.value }
  }

  putDocument(key: string, value: string, expect: number, ttlMs?: number): Promise<number> {
    const partition = this.#log.names.partitionOf(key)
    const lane = this.#lanes.get(partition) ?? new DocumentLane(this.#log, partition)
    this.#lanes.set(partition, lane)
    return lane.put(key, value, expect, ttlMs)
  }

  /** The log is another one. */
  reset(): void {
    this.#lanes.clear()
  }
}

/** The writes of this process to one partition, one transaction after the other. */
class DocumentLane {
  readonly #log: KafkaLog
  readonly #partition: number
  readonly #waiting: WaitingPut[] = []
  #producer: TransactionalProducer | undefined
  #isRunning = false

  constructor(log: KafkaLog, partition: number) {
    this.#log = log
    this.#partition = partition
  }

  put(key: string, value: string, expect: number, ttlMs: number | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, value, expect, ttlMs, resolve, reject })
      if (!this.#isRunning) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      const puts = this.#nextPuts()
      try {
        const revisions = await this.#write(puts)
        for (const put of puts) put.resolve(revisions.get(put) ?? 0)
      } catch (error) {
        for (const { reject } of puts) reject(error)
      }
    }
    this.#isRunning = false
  }

  /** One for each key. */
  #nextPuts(): WaitingPut[] {
    const keys = new Set<string>()
    const puts = this.#waiting.filter(({ key }) => keys.size !== keys.add(key).size)
    for (const put of puts) this.#waiting.splice(this.#waiting.indexOf(put), 1)
    return puts
  }

  /** The revisions of those that were written. */
  async #write(puts: readonly WaitingPut[]): Promise<Map<WaitingPut, number>> {
    const { cluster, names, follower } = this.#log
    for (let attempt = 1; ; attempt++) {
      const producer = await this.#owner()
      const revisions = new Map<WaitingPut, number>()
      const records = puts.flatMap(put => {
        const revision = this.#nextRevision(put)
        if (revision === 0) return []
        revisions.set(put, revision)
        const until = put.ttlMs === undefined ? {} : { until: this.#log.now() + put.ttlMs }
        const document: StoredDocument = { revision, value: put.value, ...until }
        return [stateRecord(names, this.#partition, keyOf(put.key), JSON.stringify(document))]
      })
      if (records.length === 0) return revisions
      try {
        await producer.commit({ records })
        // The next comparison needs it.
        await follower.freshen([this.#partition])
        return revisions
      } catch (error) {
        await this.#release()
        if (error instanceof KafkaRefusal && attempt < maxTakeOvers) continue
        // Unknown: the next owner ends the transaction, and then the state says what became of it.
        if (await this.#wereStored(revisions)) return revisions
        throw cluster.unavailable(error)
      }
    }
  }

  async #owner(): Promise<TransactionalProducer> {
    if (this.#producer && !this.#producer.isEnded) return this.#producer
    const { cluster, names, follower } = this.#log
    const producer = new TransactionalProducer(cluster, names.documentsId(this.#partition))
    await producer.init()
    await follower.freshen([this.#partition])
    this.#producer = producer
    return producer
  }

  async #release(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close()
  }

  async #wereStored(revisions: ReadonlyMap<WaitingPut, number>): Promise<boolean> {
    await this.#owner()
    return [...revisions].every(([{ key, value }, revision]) => {
      const found = stored(this.#log, key)
      return found?.revision === revision && found.value === value
    })
  }

  /** 0 if the document is not as the writer saw it. Never one that the document had before, also if it was deleted in between. */
  #nextRevision({ key, expect }: WaitingPut): number {
    if ((current(this.#log, key)?.revision ?? 0) !== expect) return 0
    return Math.max((stored(this.#log, key)?.revision ?? 0) + 1, Date.now())
  }
}

function stored({ index }: KafkaLog, key: string): StoredDocument | undefined {
  const row = index.state(keyOf(key))
  return row && (JSON.parse(row.value) as StoredDocument)
}

function current(log: KafkaLog, key: string): StoredDocument | undefined {
  const found = stored(log, key)
  return found && (found.until ?? Infinity) > log.now() ? found : undefined
}
