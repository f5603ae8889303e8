import type { BlobStore, Cursor, Driver, EmptiedCallback, LogTransfer } from '../../bus/driver.ts'
import type { Now } from '../../bus/clock.ts'
import type { TidingsError } from '../../errors.ts'
import type { Filter } from '../../pattern.ts'
import { OpenCalls } from '../shared/open-calls.ts'
import { KafkaDocuments } from './documents.ts'
import type { IndexFile } from './index-file.ts'
import { KafkaJanitor } from './janitor.ts'
import { KafkaGroups } from './kafka-groups.ts'
import type { KafkaLog } from './kafka-log.ts'
import { KafkaTasks } from './kafka-tasks.ts'
import { MarkerWatch } from './marker-watch.ts'
import { KafkaReader } from './reader.ts'
import { readKafkaDurability } from './read-durability.ts'
import { KafkaRecovery } from './recovery.ts'
import { KafkaSignals } from './signals.ts'
import { TopicBlobs } from './topic-blobs.ts'
import { exportKafkaLog } from './transfer/export.ts'
import { importKafkaLog } from './transfer/import.ts'

/** A log on Kafka. `docs/kafka.md` describes its layout. */
export class KafkaDriver implements Driver {
  readonly name = 'kafka'
  readonly shards: number
  readonly partitions: number
  readonly now: Now
  readonly blobs: BlobStore = {
    put: (tenant, bytes) => this.#call(() => this.#topicBlobs.put(tenant, bytes)),
    get: (tenant, ref) => this.#call(() => this.#topicBlobs.get(tenant, ref)),
  }
  readonly transfer: LogTransfer = {
    busyGroups: () => this.#call(() => this.#groups.busy()),
    exportRecords: () => this.#list(() => exportKafkaLog(this.#log)),
    importRecords: records => this.#call(() => importKafkaLog(this.#log, records)),
  }
  readonly #log: KafkaLog
  readonly #file: IndexFile
  readonly #calls = new OpenCalls()
  readonly #reader: KafkaReader
  readonly #groups: KafkaGroups
  readonly #tasks: KafkaTasks
  readonly #documents: KafkaDocuments
  readonly #signals: KafkaSignals
  readonly #topicBlobs: TopicBlobs
  readonly #janitor: KafkaJanitor
  readonly #recovery: KafkaRecovery
  readonly #markerWatch: MarkerWatch

  constructor(log: KafkaLog, file: IndexFile) {
    this.#log = log
    this.#file = file
    this.shards = log.names.partitions
    this.partitions = log.names.partitions
    this.now = log.now
    this.#topicBlobs = new TopicBlobs(log)
    this.#reader = new KafkaReader(log)
    this.#groups = new KafkaGroups(log)
    this.#tasks = new KafkaTasks(log, this.#groups)
    this.#documents = new KafkaDocuments(log)
    this.#signals = new KafkaSignals(log.cluster, log.names)
    this.#janitor = new KafkaJanitor(log, this.#topicBlobs, async partition => ({
      tasks: this.#tasks.holders(partition),
      groups: await this.#groups.holders(partition),
    }))
    this.#recovery = new KafkaRecovery(log, async () => {
      this.#documents.reset()
      await this.#groups.recreate()
    })
    this.#markerWatch = new MarkerWatch(log)
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

  // TaskStore
  readonly commit: Driver['commit'] = commit => this.#call(() => this.#tasks.commit(commit))
  readonly journal: Driver['journal'] = task => this.#call(() => this.#tasks.journal(task))
  readonly newestTurns: Driver['newestTurns'] = correlation => this.#call(() => this.#tasks.newestTurns(correlation))
  readonly isCallSettled: Driver['isCallSettled'] = call => this.#call(() => this.#tasks.isCallSettled(call))
  readonly claim: Driver['claim'] = (delivery, entry) => this.#call(() => this.#tasks.claim(delivery, entry))
  readonly missedWakes: Driver['missedWakes'] = before => this.#list(() => this.#tasks.missedWakes(before))

  // ConsumerGroups
  readonly subscribe: Driver['subscribe'] = subscription => this.#call(() => this.#groups.subscribe(subscription))
  readonly createGroup: Driver['createGroup'] = group => this.#call(() => this.#groups.createGroup(group))
  readonly listGroups: Driver['listGroups'] = () => this.#call(() => this.#groups.listGroups())
  readonly hasMembers: Driver['hasMembers'] = group => this.#call(() => this.#groups.hasMembers(group))

  // DeadLetters
  readonly listDeferred: Driver['listDeferred'] = () => this.#list(() => this.#groups.listDeferred())
  readonly redeliver: Driver['redeliver'] = which => this.#call(() => this.#groups.redeliver(which))
  readonly discard: Driver['discard'] = id => this.#call(() => this.#groups.discard(id))

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
      await this.#markerWatch.close()
      await this.#groups.close()
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
