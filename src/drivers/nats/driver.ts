import type { Now } from '../../bus/clock.ts'
import type {
  BlobStore,
  AppendResult,
  Commit,
  CommitResult,
  Cursor,
  Driver,
  EncodedEvent,
  EmptiedCallback,
  LogTransfer,
  Subscription,
} from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import type { TidingsError } from '../../errors.ts'
import type { Filter } from '../../pattern.ts'
import { OpenCalls } from '../shared/open-calls.ts'
import { DeferredDeliveries } from './deferred-deliveries.ts'
import { Blobs } from './blobs.ts'
import { readDurability } from './read-durability.ts'
import { Groups } from './groups.ts'
import type { NatsDelivery, NatsDeliveryContext } from './nats-delivery.ts'
import type { GroupMember } from './in-flight-window.ts'
import { Janitor } from './janitor.ts'
import type { LogConnection } from './connection.ts'
import { announceChange } from './task-checkpoint.ts'
import { missedWakes } from './missed-wakes.ts'
import { Reader } from './reader.ts'
import { RecentEvents } from './recent-events.ts'
import type { OwnedShard } from './owned-shard.ts'
import { LogRecovery } from './log-recovery.ts'
import type { NatsLog } from './nats-log.ts'
import { EventPublisher } from './publisher.ts'
import { TaskTombstones } from './task-tombstones.ts'
import { ShardedMember } from './sharded-member.ts'
import { SharedMember } from './shared-member.ts'
import { Signals } from './signals.ts'
import type { StoredMessage } from './stored-message.ts'
import { type ExportContext, exportNatsLog } from './transfer/export-log.ts'
import { type FullImportContext, importNatsLog } from './transfer/import.ts'
import { leastRepairOf, type Turns, type TurnsContext } from './turns.ts'

/** Longer than any request can be redelivered. */
const claimTtl = '2160h'

export interface DriverSettings {
  readonly leaseMs: number
  readonly now: Now
  readonly createTurns: (context: TurnsContext) => Turns
  readonly newInbox: () => string
}

/** A log on NATS JetStream. `docs/nats.md` describes its layout. */
export class NatsDriver implements Driver {
  readonly name = 'nats'
  readonly shards: number
  readonly partitions: number
  readonly blobs: BlobStore = {
    put: (tenant, bytes) => this.#calls.run(() => this.#blobs.put(tenant, bytes)),
    get: (tenant, ref) => this.#calls.run(() => this.#blobs.get(tenant, ref)),
  }
  readonly transfer: LogTransfer = {
    busyGroups: () => this.#calls.run(() => this.#groups.busy()),
    exportRecords: () => this.#calls.list(() => exportNatsLog(this.#transferContext)),
    importRecords: (records, above) =>
      this.#calls.run(() => importNatsLog(this.#transferContext, records, above)).finally(() => this.#forget()),
  }
  readonly #connection: LogConnection
  readonly #log: NatsLog
  readonly #settings: DriverSettings
  readonly #turns: Turns
  readonly #recent = new RecentEvents()
  readonly #publisher: EventPublisher
  readonly #blobs: Blobs
  readonly #deferred: DeferredDeliveries
  readonly #groups: Groups
  readonly #reader: Reader
  readonly #janitor: Janitor
  readonly #signals: Signals
  readonly #deliveryContext: NatsDeliveryContext
  readonly #transferContext: ExportContext & FullImportContext
  readonly #consumers = new Set<GroupMember>()
  readonly #calls = new OpenCalls()
  readonly #heartbeat: NodeJS.Timeout
  readonly #recovery: LogRecovery
  #adopting = false

  constructor(connection: LogConnection, log: NatsLog, settings: DriverSettings) {
    this.#connection = connection
    this.#log = log
    this.#settings = settings
    this.shards = log.names.shards
    this.partitions = log.names.partitions
    const tombstones = new TaskTombstones(connection, log)
    this.#blobs = new Blobs(connection, log.names, log.blobs)
    this.#publisher = new EventPublisher(connection, log, this.#recent)
    this.#turns = settings.createTurns({
      connection,
      log,
      blobs: this.#blobs,
      tombstones,
      publisher: this.#publisher,
    })
    this.#deferred = new DeferredDeliveries(log, settings.now)
    this.#groups = new Groups(connection, log, settings.leaseMs)
    this.#reader = new Reader({
      connection,
      log,
      turns: this.#turns,
      recent: this.#recent,
      newInbox: settings.newInbox,
    })
    this.#janitor = new Janitor({
      log,
      groups: this.#groups,
      tombstones,
      deferred: this.#deferred,
      blobs: this.#blobs,
    })
    this.#signals = new Signals(connection, log.names.signal)
    this.#deliveryContext = {
      connection,
      names: log.names,
      deferred: this.#deferred,
      publisher: this.#publisher,
      recent: this.#recent,
    }
    this.#transferContext = {
      connection,
      log,
      turns: this.#turns,
      groups: this.#groups,
      deferred: this.#deferred,
      blobs: this.#blobs,
      tombstones,
      newInbox: settings.newInbox,
      claimTtl,
    }
    this.#heartbeat = setInterval(() => void this.#onHeartbeat(), settings.leaseMs / 6)
    this.#heartbeat.unref()
    this.#recovery = new LogRecovery({
      connection,
      log,
      isClosed: () => this.#calls.isClosed,
      forget: () => this.#forget(),
      recreate: async startsOver => {
        for (const consumer of this.#consumers) await consumer.recreate()
        this.#reader.reconnected(startsOver)
      },
      reconnected: isIntact => {
        this.#turns.clearHeads()
        if (isIntact) this.#reader.reconnected(new Set())
        for (const consumer of this.#consumers) consumer.reconnected()
      },
    })
  }

  get problem(): TidingsError | undefined {
    return this.#connection.problem ?? this.#recovery.problem
  }

  onEmptied(callback: EmptiedCallback): () => void {
    return this.#recovery.onEmptied(callback)
  }

  publish(entries: readonly EncodedEvent[]): Promise<AppendResult[]> {
    return this.#calls.run(() => this.#publisher.publish(entries))
  }

  commit(commit: Commit): Promise<CommitResult> {
    return this.#calls.run(async () => {
      const { group, task, settle } = commit
      const shard = this.#log.names.shardOf(correlationOf(task))
      const owned = this.#owned(group, shard)
      const view = owned?.openView()
      try {
        const accepted = await this.#turns.commit(commit, () => this.#isStopping(group))
        if (!accepted) return 'conflict'
        // The lease may have expired since, so the owner is looked up again.
        if (view && this.#owned(group, shard) === owned) owned!.turnStored(task, accepted, view)
        else await this.#announce(group, shard, accepted.seq, task)
      } finally {
        if (view) owned!.closeView(view)
      }
      await Promise.all(settle.map(({ delivery, outcome }) => (delivery as NatsDelivery).conclude(outcome)))
      return 'accepted'
    })
  }

  async subscribe(subscription: Subscription) {
    return this.#calls.run(async () => {
      await this.#groups.join(subscription)
      const context = {
        context: this.#deliveryContext,
        log: this.#log,
        turns: this.#turns,
        groups: this.#groups,
        ...this.#settings,
      }
      const closed = (consumer: GroupMember) => void this.#consumers.delete(consumer)
      const Member = subscription.mode === 'shared' ? SharedMember : ShardedMember
      const consumer = new Member(context, subscription, closed)
      this.#consumers.add(consumer)
      await consumer.start()
      await this.#deferred.adopt([subscription.group])
      return consumer
    })
  }

  readonly createGroup: Driver['createGroup'] = group => this.#calls.run(() => this.#groups.make(group))
  readonly get: Driver['get'] = (id, correlation) => this.#calls.run(() => this.#reader.get(id, correlation))
  readonly isCallSettled: Driver['isCallSettled'] = call => this.#calls.run(() => this.#reader.isSettled(call))

  /** The document decides; the event is for readers of the log. */
  readonly claim: Driver['claim'] = (_, entry) =>
    this.#calls.run(async () => {
      const subject = this.#log.names.doc('claim', entry.event.id)
      if (await this.#log.state.last(subject)) return false
      // The event first: if the document existed and the event were refused, the call would count as started.
      await this.#publisher.publish([entry])
      return (await this.#log.state.putAfter(0, subject, '', { 'Nats-TTL': claimTtl })) !== undefined
    })

  readonly read: Driver['read'] = query => this.#calls.list(() => this.#reader.read(query))
  readonly readAt: Driver['readAt'] = positions => this.#calls.run(() => this.#reader.at(positions))
  readonly head: Driver['head'] = () => this.#calls.run(() => this.#log.head())

  readonly horizon: Driver['horizon'] = () => this.#calls.run(() => this.#log.horizon())

  async *follow(after: Cursor, filter: Filter | undefined, signal: AbortSignal) {
    this.#calls.assertOpen()
    yield* this.#reader.follow(after, filter, signal)
    if (!signal.aborted) this.#calls.assertOpen()
  }

  readonly journal: Driver['journal'] = task =>
    this.#calls.run(async () => {
      const owners = this.#ownersOf(this.#log.names.shardOf(correlationOf(task)))
      const views = owners.map(owned => owned.openView())
      try {
        const repairOf = (newest: StoredMessage) => leastRepairOf(owners.map(owned => owned.repairOf(newest)))
        const { newest, ...journal } = await this.#turns.journal(task, repairOf)
        // Another process may have continued this task.
        if (newest) owners.forEach((owned, i) => owned.turnStored(task, newest, views[i]!))
        return journal
      } finally {
        owners.forEach((owned, i) => owned.closeView(views[i]!))
      }
    })

  readonly newestTurns: Driver['newestTurns'] = correlation => this.#calls.run(() => this.#turns.newestOf(correlation))
  readonly hasMembers: Driver['hasMembers'] = group => this.#calls.run(() => this.#groups.hasMembers(group))

  readonly getDocument: Driver['getDocument'] = key =>
    this.#calls.run(async () => {
      const stored = await this.#log.state.last(this.#log.names.document(key))
      return stored && { revision: stored.seq, value: stored.text() }
    })

  readonly putDocument: Driver['putDocument'] = (key, value, expect, ttlMs) =>
    this.#calls.run(async () => {
      const headers = ttlMs === undefined ? {} : { 'Nats-TTL': `${Math.ceil(ttlMs / 1_000)}s` }
      return (await this.#log.state.putAfter(expect, this.#log.names.document(key), value, headers)) ?? 0
    })

  readonly sendSignal: Driver['sendSignal'] = event => {
    if (!this.#calls.isClosed) this.#signals.send(event)
  }

  readonly onSignal: Driver['onSignal'] = callback => (this.#calls.isClosed ? () => {} : this.#signals.listen(callback))

  readonly listGroups: Driver['listGroups'] = () =>
    this.#calls.run(async () => {
      await this.#flush()
      return this.#groups.states(group => this.#deferred.delayed(group))
    })

  readonly listDeferred: Driver['listDeferred'] = () => this.#calls.list(() => this.#deferred.list())
  readonly redeliver: Driver['redeliver'] = which => this.#calls.run(() => this.#deferred.redeliver(which))
  readonly discard: Driver['discard'] = id => this.#calls.run(() => this.#deferred.discard(id))
  readonly missedWakes: Driver['missedWakes'] = before => this.#calls.list(() => missedWakes(this.#log, before))

  readonly purge: Driver['purge'] = retention =>
    this.#calls.run(async () => {
      await this.#flush()
      this.#recent.clear()
      return this.#janitor.clean(retention)
    })

  readonly durability: Driver['durability'] = () => this.#calls.run(() => readDurability(this.#connection, this.#log))
  readonly close: Driver['close'] = () => this.#calls.close(() => this.#close())

  async #close(): Promise<void> {
    clearInterval(this.#heartbeat)
    this.#signals.close()
    this.#reader.close()
    await this.#calls.settled()
    await Promise.allSettled([...this.#consumers].map(consumer => consumer.close()))
    this.#deferred.close()
    await this.#connection.close()
  }

  /** A stopping member takes no more deliveries and waits for its running turns. */
  #isStopping(group: string): boolean {
    return this.#calls.isClosed || [...this.#consumers].some(({ window }) => window.group === group && window.isPaused)
  }

  #owned(group: string, shard: number): OwnedShard | undefined {
    for (const consumer of this.#consumers)
      if (consumer instanceof ShardedMember && consumer.window.group === group) {
        const owned = consumer.owned(shard)
        if (owned) return owned
      }
    return undefined
  }

  /** The state of a shard, for each group for which this process owns it. */
  #ownersOf(shard: number): OwnedShard[] {
    return [...this.#consumers].flatMap(consumer =>
      consumer instanceof ShardedMember ? (consumer.owned(shard) ?? []) : [],
    )
  }

  /** This process changed a task and may not own its shard any more, so it notifies the owner. */
  async #announce(group: string, shard: number, seq: number, task: string): Promise<void> {
    await announceChange(this.#log, { group, shard, seq, task })
    this.#connection.writeBuffer.send(this.#log.names.change(shard, group), '')
  }

  async #flush(): Promise<void> {
    await Promise.all([...this.#consumers].map(({ window }) => window.flush()))
  }

  async #onHeartbeat(): Promise<void> {
    if (!this.#connection.isConnected) return
    const now = performance.now()
    for (const { window } of this.#consumers) window.extendAckTimes(now)
    // Failures, as while the log is unavailable, are retried with the next heartbeat.
    for (const consumer of this.#consumers) consumer.onHeartbeat(now).catch(() => {})
    if (this.#adopting) return
    this.#adopting = true
    await this.#deferred.adopt(new Set([...this.#consumers].map(({ window }) => window.group))).catch(() => {})
    this.#adopting = false
  }

  #forget(): void {
    this.#recent.clear()
    this.#turns.clearHeads()
    for (const { window } of this.#consumers) window.forget()
  }
}
