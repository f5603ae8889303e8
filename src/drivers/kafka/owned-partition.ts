import type { Commit, CommitResult, DeliveryOutcome } from '../../bus/driver.ts'
import type { TaskWake, WakeSource } from '../shared/wake-schedule.ts'
import { BatchedWriter } from './batched-writer.ts'
import { readSettlements, settlementRecord } from './committed-offsets.ts'
import type { DeliveryEngine } from './delivery-engine.ts'
import type { GroupDefinition } from './group-definitions.ts'
import { KafkaDelivery } from './kafka-delivery.ts'
import type { KafkaLog } from './kafka-log.ts'
import type { PartitionFeed } from './partition-feed.ts'
import { eventRecord, stateRecord, type OutRecord } from './records.ts'
import { KafkaRefusal } from './refusal.ts'
import {
  endedKey,
  newestVersion,
  snapshotKey,
  wakeKey,
  wakeOf,
  wakesOf,
  type StoredSnapshot,
  type StoredWake,
} from './task-state.ts'
import { TransactionalProducer } from './transactional-producer.ts'

interface OwnedPartitionOptions {
  readonly log: KafkaLog
  readonly definition: GroupDefinition
  readonly partition: number
  readonly engine: DeliveryEngine
  readonly onWake: (owned: OwnedPartition, task: string, state: TaskWake) => void
  /** It can write nothing any more. */
  readonly onEnded: (owned: OwnedPartition) => void
}

/** Refusals that mean that another process owns the partition by now. */
const fenced = new Set([
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_TXN_STATE',
  'INVALID_PRODUCER_ID_MAPPING',
  'TRANSACTION_ABORTABLE',
  'UNKNOWN_SERVER_ERROR',
])
const handOutDelayMs = 200
/** Heads that the index knows by now are forgotten after this many commits. */
const sweepInterval = 1_024

interface TaskHead {
  readonly version: number
  readonly isEnded: boolean
}

/**
 * A partition of a sharded group, from its assignment until it is given back or its producer ends. All that the group changes there goes
 * through one transactional producer: turns, their events, wake-ups, deferred deliveries and the progress of the group. Turns that wait for
 * a transaction share the next one.
 */
export class OwnedPartition implements WakeSource {
  readonly partition: number
  readonly live = new Map<string, TaskWake>()
  readonly #options: OwnedPartitionOptions
  readonly #producer: TransactionalProducer
  readonly #writer: BatchedWriter
  /** Tasks whose newest turn the index may not have yet, also of commits that wait. */
  readonly #heads = new Map<string, TaskHead>()
  #feed!: PartitionFeed
  #commits = 0
  #handOutTimer: NodeJS.Timeout | undefined
  #isEnded = false

  private constructor(options: OwnedPartitionOptions) {
    const { log, definition, partition } = options
    this.#options = options
    this.partition = partition
    this.#producer = new TransactionalProducer(log.cluster, log.names.transactionalId(definition.group, partition), {
      group: log.names.kafkaGroup(definition.group),
      topic: log.names.events,
      partitions: [partition],
      filler: { topic: log.names.signals, partition: 0 },
    })
    this.#writer = new BatchedWriter(this.#producer, () => this.#offsets())
  }

  /** Fences the owner before, reads what that one wrote, and begins to deliver. */
  static async acquire(options: OwnedPartitionOptions): Promise<OwnedPartition> {
    const owned = new OwnedPartition(options)
    try {
      await owned.#acquire()
      return owned
    } catch (error) {
      await owned.#end()
      throw error
    }
  }

  get feed(): PartitionFeed {
    return this.#feed
  }

  async #acquire(): Promise<void> {
    const { log, definition, partition, engine, onWake } = this.#options
    await this.#producer.init()
    // To the end, with what the owner before left open: from here on, this owner knows the head of each task.
    await log.follower.freshen([partition])
    const stored = await readSettlements(log, definition, [partition])
    this.#feed = engine.add(partition, stored.get(partition)!)
    for (const { task, due, version } of wakesOf(log.index, definition.group, partition)) {
      const state = { wake: due, seq: version }
      this.live.set(task, state)
      onWake(this, task, state)
    }
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const { task, expect, settle, wake, end = false } = commit
    const head = this.#headOf(task)
    if (this.#isEnded || head.isEnded || head.version !== expect) return 'conflict'
    const settled: { delivery: KafkaDelivery; outcome: DeliveryOutcome }[] = []
    for (const { delivery, outcome } of settle) {
      if (!(delivery instanceof KafkaDelivery) || delivery.feed !== this.#feed || !this.#options.engine.has(delivery))
        return 'conflict'
      settled.push({ delivery, outcome })
    }
    const version = expect + 1
    const records = [
      ...this.#recordsOf(commit),
      ...settled.flatMap(each => this.#feed.recordsOf(each.delivery, each.outcome)),
    ]
    this.#heads.set(task, { version, isEnded: end })
    try {
      await this.#write(records, settled)
    } catch (error) {
      if (error instanceof KafkaRefusal && fenced.has(error.code)) return 'conflict'
      throw this.#options.log.cluster.unavailable(error)
    }
    for (const { delivery } of settled) this.#options.engine.release(delivery)
    this.#setWake(task, end ? null : wake, version)
    this.#sweep()
    return 'accepted'
  }

  /** Ends one delivery without a turn. */
  async settle(delivery: KafkaDelivery, outcome: DeliveryOutcome): Promise<void> {
    try {
      await this.#write(this.#feed.recordsOf(delivery, outcome), [{ delivery, outcome }])
    } catch (error) {
      throw this.#options.log.cluster.unavailable(error)
    }
    this.#options.engine.release(delivery)
  }

  /** A death from now on counts as an attempt of what is in flight. */
  handedOut(): void {
    this.#handOutTimer ??= setTimeout(() => {
      this.#handOutTimer = undefined
      void this.#write([], []).catch(() => {})
    }, handOutDelayMs)
  }

  /** Gives the partition back, after what is being written. */
  async handOver(): Promise<void> {
    if (!this.#isEnded) {
      const { log, definition } = this.#options
      this.#feed.settlement.handOver()
      const kept = settlementRecord(log.names, definition.group, this.partition, this.#feed.settlement.stored())
      await this.#write([kept], []).catch(() => {})
    }
    await this.#end()
  }

  /** Another process may own it. */
  async lose(): Promise<void> {
    await this.#end()
  }

  #write(
    records: readonly OutRecord[],
    settled: readonly { readonly delivery: KafkaDelivery; readonly outcome: DeliveryOutcome }[],
  ): Promise<void> {
    const onBegin = () => {
      for (const { delivery, outcome } of settled) this.#feed.settled(delivery, outcome)
    }
    const written = this.#writer.write(records, onBegin)
    // Whatever the reason: only another assignment may start a producer.
    written.catch(() => {
      if (!this.#isEnded) this.#options.onEnded(this)
    })
    return written
  }

  #offsets() {
    const { log, definition } = this.#options
    clearTimeout(this.#handOutTimer)
    this.#handOutTimer = undefined
    const stored = this.#feed.settlement.stored()
    const partitions = [{ partition: this.partition, ...stored }]
    return [{ group: log.names.kafkaGroup(definition.group), topic: log.names.events, partitions }]
  }

  #recordsOf({ task, expect, turn, events, wake, snapshot, end = false }: Commit): OutRecord[] {
    const { names, index } = this.#options.log
    const { group } = this.#options.definition
    const version = expect + 1
    const records = [turn, ...events].map(entry => eventRecord(names, entry))
    const set = (key: string, value: object | null) =>
      records.push(stateRecord(names, this.partition, key, value && JSON.stringify(value)))
    const wasDue = () => this.live.has(task) || (wakeOf(index, task)?.due ?? null) !== null
    if (end) {
      if (expect > 0) set(wakeKey(task), null)
    } else if (expect === 0 || wake !== null || wasDue())
      set(wakeKey(task), { group, due: wake, version } satisfies StoredWake)
    if (snapshot !== undefined) set(snapshotKey(task), { version, state: snapshot } satisfies StoredSnapshot)
    if (end) set(endedKey(task), { version })
    return records
  }

  #headOf(task: string): TaskHead {
    const { index } = this.#options.log
    return (
      this.#heads.get(task) ?? {
        version: newestVersion(index, task),
        isEnded: index.state(endedKey(task)) !== undefined,
      }
    )
  }

  #setWake(task: string, wake: number | null, version: number): void {
    // A later turn has been accepted meanwhile.
    if ((this.live.get(task)?.seq ?? 0) > version) return
    if (wake === null) return void this.live.delete(task)
    const state = { wake, seq: version }
    this.live.set(task, state)
    this.#options.onWake(this, task, state)
  }

  #sweep(): void {
    if (++this.#commits % sweepInterval !== 0) return
    const { index } = this.#options.log
    for (const [task, { version, isEnded }] of this.#heads)
      if (newestVersion(index, task) >= version && (!isEnded || index.state(endedKey(task)))) this.#heads.delete(task)
  }

  async #end(): Promise<void> {
    if (this.#isEnded) return
    this.#isEnded = true
    clearTimeout(this.#handOutTimer)
    this.live.clear()
    await this.#producer.close()
  }
}
