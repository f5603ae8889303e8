import type { ConsumerGroup, GroupState } from '../../bus/driver.ts'
import type { Filter } from '../../pattern.ts'
import { codes, Refused } from './answers.ts'
import type { LogConnection } from './connection.ts'
import { durableOf } from './names.ts'
import type { NatsLog } from './nats-log.ts'
import { isDeniedAt } from './provision.ts'

/** The stored description of a group. */
export interface GroupDocument {
  readonly group: string
  readonly mode: 'shared' | 'sharded'
  /** The union of the filters of its live members. */
  readonly filter: Filter
  readonly limit?: number
  /** The sequence after which its consumers start, also when they are recreated; by partition where there are several. */
  readonly start: number | readonly number[]
}

interface GroupConsumer {
  readonly name: string
  readonly partition: number
  /** All shards of the partition, or one. */
  readonly shard: number | '*'
}

export interface ConsumerInfo {
  readonly config: {
    readonly filter_subjects?: readonly string[]
    readonly filter_subject?: string
    readonly max_ack_pending?: number
    /** In ns. */
    readonly ack_wait: number
  }
  readonly delivered: { readonly stream_seq: number; readonly consumer_seq: number }
  readonly ack_floor: { readonly stream_seq: number }
  readonly num_ack_pending: number
  readonly num_pending: number
  /** Requests of members for more. */
  readonly num_waiting: number
}

/** A consumer of a group. */
export interface GroupInfo {
  readonly name: string
  readonly stream: string
  readonly info: ConsumerInfo
}

const nanos = 1_000_000
/** Far more than any window: deferred deliveries are acknowledged and do not count. */
const maxAckPending = 20_000

/** The groups of a log and their consumers on the server. */
export class Groups {
  readonly #connection: LogConnection
  readonly #log: NatsLog
  readonly #ackWaitMs: number

  constructor(connection: LogConnection, log: NatsLog, ackWaitMs: number) {
    this.#connection = connection
    this.#log = log
    this.#ackWaitMs = ackWaitMs
  }

  /**
   * A member that owns shards or slots is a document that expires unless it is renewed, and is empty after the member left. Members
   * of a shared group also show in the waiting requests and pending acknowledgements of its consumers.
   */
  async hasMembers(group: string): Promise<boolean> {
    if ((await this.#read(group))?.value.mode === 'shared') {
      const infos = await this.infos(group, 'shared')
      if (infos.some(info => info.num_waiting + info.num_ack_pending > 0)) return true
    }
    return this.#hasLeases(group)
  }

  /** Groups whose members ask for deliveries or have a lease. A member that has died may still hold deliveries. */
  async busy(): Promise<string[]> {
    const busy: string[] = []
    for (const { group, mode } of await this.list()) {
      const infos = mode === 'shared' ? await this.infos(group, mode) : []
      if (infos.some(info => info.num_waiting > 0) || (await this.#hasLeases(group))) busy.push(group)
    }
    return busy
  }

  async #hasLeases(group: string): Promise<boolean> {
    const members = await this.#log.state.documents(this.#log.names.doc('member', group, '*'))
    return members.some(({ text }) => text() !== '')
  }

  /**
   * Creates the group, or widens its filter for this member. The document changes first, by compare-and-set, and the consumers
   * are updated until it no longer changes.
   */
  async join({ group, mode, filter, limit, from }: ConsumerGroup): Promise<void> {
    await this.#change(group, async before => ({
      group,
      mode,
      filter: before ? union([before.filter, filter]) : filter,
      ...(limit !== undefined && { limit }),
      start: before?.start ?? (await this.#startOf(from)),
    }))
  }

  /** Reads first, so that a user who may not create groups can use an existing one. */
  async make(group: ConsumerGroup): Promise<void> {
    if (await this.#read(group.group)) return
    try {
      await this.join(group)
    } catch (error) {
      const isDenied = isDeniedAt(error, '.s.group.') || isDeniedAt(error, '.CONSUMER.')
      if (!isDenied) throw error
      throw this.#connection.unavailable(
        `the group "${group.group}" does not exist and this user may not create it; start its worker first`,
      )
    }
  }

  /** Narrows the filter to those of the live members. */
  async narrow(group: string, filters: readonly Filter[]): Promise<void> {
    await this.#change(group, async before => {
      const filter = union(filters)
      return before && JSON.stringify(union([before.filter])) !== JSON.stringify(filter)
        ? { ...before, filter }
        : undefined
    })
  }

  /** The union of the members' filters. */
  async filterOf(group: string): Promise<Filter> {
    return (await this.#read(group))?.value.filter ?? []
  }

  async limitOf(group: string): Promise<number | undefined> {
    return (await this.#read(group))?.value.limit
  }

  /** How many requests for deliveries from a partition wait on the server, of all members of a shared group. */
  async countRequests(group: string, partition: number): Promise<number> {
    const [info] = await this.infos(group, 'shared', partition)
    return info?.num_waiting ?? 0
  }

  /** Recreates missing consumers, as after the server lost its data. */
  async provision(group: string): Promise<void> {
    const document = await this.#read(group)
    if (document) await this.#ensure(document.value)
  }

  async list(): Promise<GroupDocument[]> {
    const documents = await this.#log.state.documents(this.#log.names.doc('group', '*'))
    const groups = documents.map(({ text }) => JSON.parse(text()) as GroupDocument)
    return groups.toSorted((a, b) => (a.group < b.group ? -1 : 1))
  }

  async states(delayed: (group: string) => Promise<number>): Promise<GroupState[]> {
    return Promise.all(
      (await this.list()).map(async ({ group, mode }) => {
        const infos = await this.infos(group, mode)
        const sum = (of: (info: ConsumerInfo) => number) => infos.reduce((total, info) => total + of(info), 0)
        const inFlight = sum(info => info.num_ack_pending)
        return { group, mode, lag: sum(info => info.num_pending) + inFlight + (await delayed(group)), inFlight }
      }),
    )
  }

  async infos(group: string, mode: 'shared' | 'sharded', partition?: number): Promise<ConsumerInfo[]> {
    const consumers = this.#consumersOf(group, mode).filter(
      each => partition === undefined || each.partition === partition,
    )
    const infos = await Promise.all(consumers.map(consumer => this.#info(consumer)))
    return infos.filter(info => info !== undefined)
  }

  /** The same with the names of the consumers. */
  async consumerInfos(group: string, mode: 'shared' | 'sharded'): Promise<GroupInfo[]> {
    const found: GroupInfo[] = []
    for (const consumer of this.#consumersOf(group, mode)) {
      const info = await this.#info(consumer)
      if (info) found.push({ name: consumer.name, stream: this.#log.names.partition(consumer.partition), info })
    }
    return found
  }

  /** Removes every group with its consumers, so that each begins again. */
  async removeAll(): Promise<void> {
    for (const { group, mode } of await this.list())
      for (const { name, stream } of await this.consumerInfos(group, mode))
        await this.#connection.retryUntilAnswered(() => this.#connection.api(`CONSUMER.DELETE.${stream}.${name}`))
    await this.#log.state.purge(this.#log.names.doc('group', '*'))
  }

  async #startOf(from: 'now' | 'beginning'): Promise<GroupDocument['start']> {
    const { partitions } = this.#log
    const starts = from === 'now' ? await Promise.all(partitions.map(stream => stream.head())) : partitions.map(() => 0)
    return starts.length === 1 ? starts[0]! : starts
  }

  #consumersOf(group: string, mode: 'shared' | 'sharded'): GroupConsumer[] {
    const { names, partitions } = this.#log
    if (mode === 'shared') return partitions.map((_, partition) => ({ name: durableOf(group), partition, shard: '*' }))
    return Array.from({ length: names.shards }, (_, shard) => ({
      name: durableOf(group, shard),
      partition: names.partitionOf(shard),
      shard,
    }))
  }

  async #change(
    group: string,
    change: (before: GroupDocument | undefined) => Promise<GroupDocument | undefined>,
  ): Promise<void> {
    const subject = this.#log.names.doc('group', group)
    for (;;) {
      const before = await this.#read(group)
      const after = await change(before?.value)
      if (!after) return
      const isSame = before && JSON.stringify(before.value) === JSON.stringify(after)
      const seq = isSame ? before.seq : await this.#log.state.putAfter(before?.seq ?? 0, subject, JSON.stringify(after))
      if (seq === undefined) continue
      await this.#ensure(after)
      if ((await this.#read(group))?.seq === seq) return
    }
  }

  async #read(group: string): Promise<{ seq: number; value: GroupDocument } | undefined> {
    const stored = await this.#log.state.last(this.#log.names.doc('group', group))
    return stored && { seq: stored.seq, value: JSON.parse(stored.text()) as GroupDocument }
  }

  async #ensure(document: GroupDocument): Promise<void> {
    const { group, mode } = document
    await Promise.all(this.#consumersOf(group, mode).map(consumer => this.#ensureOne(document, consumer)))
  }

  async #ensureOne({ group, filter, limit, start }: GroupDocument, consumer: GroupConsumer): Promise<void> {
    const { name, partition, shard } = consumer
    const stream = this.#log.names.partition(partition)
    const first = typeof start === 'number' ? start : start[partition]!
    const filters = this.#log.names.filters(filter, group, shard)
    // The server counts for each consumer. With several, the members divide the limit among themselves.
    const wanted = this.#log.partitions.length === 1 && limit !== undefined ? limit : maxAckPending
    const info = await this.#info(consumer)
    if (
      info &&
      isSameSet(info.config.filter_subjects ?? [info.config.filter_subject!], filters) &&
      info.config.max_ack_pending === wanted
    )
      return
    const config = {
      durable_name: name,
      ack_policy: 'explicit',
      ack_wait: this.#ackWaitMs * nanos,
      max_ack_pending: wanted,
      max_waiting: 2_048,
      deliver_policy: first > 0 ? 'by_start_sequence' : 'all',
      ...(first > 0 && { opt_start_seq: first + 1 }),
      replay_policy: 'instant',
      filter_subjects: filters,
      max_deliver: -1,
    }
    await this.#connection.retryUntilAnswered(() =>
      this.#connection.api(`CONSUMER.DURABLE.CREATE.${stream}.${name}`, { stream_name: stream, config, action: '' }),
    )
  }

  #info({ name, partition }: GroupConsumer): Promise<ConsumerInfo | undefined> {
    return this.#connection.retryUntilAnswered(async () => {
      try {
        return await this.#connection.api<ConsumerInfo>(`CONSUMER.INFO.${this.#log.names.partition(partition)}.${name}`)
      } catch (error) {
        if (error instanceof Refused && (error.code === codes.noConsumer || error.code === codes.noStream))
          return undefined
        throw error
      }
    })
  }
}

/** Each clause once, in a canonical order, so that equal filters are equal as text. */
function union(filters: readonly Filter[]): Filter {
  const clauses = new Map(
    filters.flat().map(({ types, targets }) => {
      const clause = { types: types.toSorted(), ...(targets && { targets: targets.toSorted() }) }
      return [JSON.stringify(clause), clause]
    }),
  )
  return [...clauses].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, clause]) => clause)
}

const isSameSet = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && new Set([...a, ...b]).size === new Set(a).size
