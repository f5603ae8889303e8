import type { BlobStore, Cursor, Driver, EmptiedCallback } from '../../bus/driver.ts'
import type { Now } from '../../bus/clock.ts'
import type { TidingsError } from '../../errors.ts'
import type { Filter } from '../../pattern.ts'
import { OpenCalls } from '../shared/open-calls.ts'
import { KafkaDocuments } from './documents.ts'
import type { IndexFile } from './index-file.ts'
import { KafkaJanitor } from './janitor.ts'
import type { KafkaLog } from './kafka-log.ts'
import { KafkaReader } from './reader.ts'
import { readKafkaDurability } from './read-durability.ts'
import { KafkaRecovery } from './recovery.ts'
import { KafkaSignals } from './signals.ts'

type ImplementedParts = Omit<
  Driver,
  | 'commit'
  | 'journal'
  | 'newestTurns'
  | 'isCallSettled'
  | 'claim'
  | 'missedWakes'
  | 'subscribe'
  | 'createGroup'
  | 'listGroups'
  | 'hasMembers'
  | 'listDeferred'
  | 'redeliver'
  | 'discard'
>

/** What a driver is made of. */
export interface KafkaDriverParts {
  readonly log: KafkaLog
  readonly file: IndexFile
  readonly blobs?: BlobStore | undefined
}

/** A log on Kafka. `docs/kafka.md` describes its layout. */
export class KafkaDriver implements ImplementedParts {
  readonly name = 'kafka'
  readonly shards: number
  readonly partitions: number
  readonly now: Now
  readonly blobs?: BlobStore
  readonly #log: KafkaLog
  readonly #file: IndexFile
  readonly #calls = new OpenCalls()
  readonly #reader: KafkaReader
  readonly #documents: KafkaDocuments
  readonly #signals: KafkaSignals
  readonly #janitor: KafkaJanitor
  readonly #recovery: KafkaRecovery

  constructor({ log, file, blobs }: KafkaDriverParts) {
    this.#log = log
    this.#file = file
    this.shards = log.names.partitions
    this.partitions = log.names.partitions
    this.now = log.now
    if (blobs)
      this.blobs = {
        put: (tenant, bytes) => this.#call(() => blobs.put(tenant, bytes)),
        get: (tenant, ref) => this.#call(() => blobs.get(tenant, ref)),
      }
    this.#reader = new KafkaReader(log)
    this.#documents = new KafkaDocuments(log)
    this.#signals = new KafkaSignals(log.cluster, log.names)
    this.#janitor = new KafkaJanitor(log, async () => ({ tasks: [], groups: [] }))
    this.#recovery = new KafkaRecovery(log, async () => this.#documents.reset())
    log.follower.onLost = () => this.#recovery.run()
    log.follower.onTruncated = partition => this.#recovery.truncated(partition)
  }

  get problem(): TidingsError | undefined {
    return this.#log.follower.problem ?? this.#recovery.problem
  }

  onEmptied(callback: EmptiedCallback): () => void {
    return this.#recovery.onEmptied(callback)
  }

  // EventLog
  readonly publish: Driver['publish'] = entries => this.#call(() => this.#log.publisher.publish(entries))
  readonly get: Driver['get'] = (id, correlation) => this.#call(() => this.#reader.get(id, correlation))
  readonly read: Driver['read'] = query => this.#list(() => this.#reader.read(query))
  readonly readAt: Driver['readAt'] = positions => this.#call(() => this.#reader.readAt(positions))
  readonly head: Driver['head'] = () => this.#call(() => this.#reader.head())
  readonly horizon: Driver['horizon'] = () => this.#call(() => this.#reader.horizon())
  async *follow(after: Cursor, filter: Filter | undefined, signal: AbortSignal) {
    this.#calls.assertOpen()
    yield* this.#reader.follow(after, filter, signal)
    if (!signal.aborted) this.#calls.assertOpen()
  }

  // DocumentStore
  readonly getDocument: Driver['getDocument'] = key => this.#call(() => this.#documents.getDocument(key))
  readonly putDocument: Driver['putDocument'] = (key, value, expect, ttlMs) =>
    this.#call(() => this.#documents.putDocument(key, value, expect, ttlMs))

  // SignalChannel
  readonly sendSignal: Driver['sendSignal'] = event => {
    if (!this.#calls.isClosed) this.#signals.send(event)
  }
  readonly onSignal: Driver['onSignal'] = callback => (this.#calls.isClosed ? () => {} : this.#signals.listen(callback))

  // LogAdmin
  readonly purge: Driver['purge'] = retention => this.#call(() => this.#janitor.purge(retention))
  readonly durability: Driver['durability'] = () =>
    this.#call(() => readKafkaDurability(this.#log.cluster, this.#log.names))
  readonly close: Driver['close'] = () =>
    this.#calls.close(async () => {
      this.#recovery.close()
      this.#signals.close()
      await this.#calls.settled()
      await this.#log.follower.close()
      this.#reader.wake()
      await this.#log.cluster.close()
      this.#file.close()
    })

  /** What the broker refuses becomes an error of the log. */
  #call<T>(work: () => Promise<T>): Promise<T> {
    return this.#calls.run(async () => {
      try {
        return await work()
      } catch (error) {
        throw this.#log.cluster.toTidingsError(error)
      }
    })
  }

  async *#list<T>(items: () => AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* this.#calls.list(items)
    } catch (error) {
      throw this.#log.cluster.toTidingsError(error)
    }
  }
}
