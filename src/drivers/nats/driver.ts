import { setTimeout } from 'node:timers/promises'
import type { Now } from '../../bus/clock.ts'
import type {
  BlobStore,
  PublishResult,
  Commit,
  CommitResult,
  Driver,
  Durability,
  EncodedEvent,
  ConsumerGroup,
  Delivery,
  Position,
  LogQuery,
  Retention,
  StoredEvent,
  Subscription,
} from '../../bus/driver.ts'
import { correlationOf } from '../../bus/ids.ts'
import type { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import type { Filter } from '../../pattern.ts'
import { OpenCalls } from '../shared/open-calls.ts'
import { Aside } from './aside.ts'
import { Blobs } from './blobs.ts'
import { durabilityOf } from './durability.ts'
import { Groups } from './groups.ts'
import type { Handed, Ties } from './handed.ts'
import type { LocalConsumer } from './hands.ts'
import { Janitor } from './janitor.ts'
import type { Link } from './link.ts'
import { announce } from './live.ts'
import { missedWakes } from './missed-wakes.ts'
import { Reader } from './reader.ts'
import { Recent } from './recent.ts'
import type { OwnedShard } from './owned.ts'
import { type Log, provision } from './provision.ts'
import { Publisher } from './publisher.ts'
import { Seals } from './seals.ts'
import { ShardedConsumer } from './sharded.ts'
import { SharedConsumer } from './shared.ts'
import { Signals } from './signals.ts'
import type { StoredMessage } from './stored-message.ts'
import { type TurnFaults, type TurnRepair, Turns } from './turns.ts'

/** Longer than any request is handed out again. */
const claimKept = '2160h'

export interface DriverSettings {
  readonly leaseMs: number
  readonly now: Now
  readonly faults: TurnFaults
  readonly newInbox: () => string
}

const againMs = 500

const leastRepair = (repairs: readonly TurnRepair[]): TurnRepair =>
  repairs.includes('none') ? 'none' : repairs.includes('recent') ? 'recent' : 'all'

/** A log on NATS JetStream. `docs/nats.md` says how it lies there. */
export class NatsDriver implements Driver {
  readonly name = 'nats'
  readonly shards: number
  readonly blobs: BlobStore = {
    put: (tenant, bytes) => this.#calls.run(() => this.#blobs.put(tenant, bytes)),
    get: (tenant, ref) => this.#calls.run(() => this.#blobs.get(tenant, ref)),
  }
  readonly #link: Link
  readonly #log: Log
  #identity: string
  readonly #settings: DriverSettings
  readonly #turns: Turns
  readonly #recent = new Recent()
  readonly #publisher: Publisher
  readonly #blobs: Blobs
  readonly #aside: Aside
  readonly #groups: Groups
  readonly #reader: Reader
  readonly #janitor: Janitor
  readonly #signals: Signals
  readonly #ties: Ties
  readonly #consumers = new Set<LocalConsumer>()
  readonly #calls = new OpenCalls()
  readonly #beat: NodeJS.Timeout
  readonly #onEmptied = new Set<() => void>()
  #adopting = false
  #reconnects = 0

  constructor(link: Link, log: Log, settings: DriverSettings) {
    this.#link = link
    this.#log = log
    this.#identity = log.identity
    this.#settings = settings
    this.shards = log.names.shards
    const seals = new Seals(log)
    this.#blobs = new Blobs(link, log.names, log.blobs)
    this.#turns = new Turns(link, log, this.#blobs, seals, this.#recent, settings.faults)
    this.#publisher = new Publisher(link, log, this.#recent)
    this.#aside = new Aside(log, settings.now)
    this.#groups = new Groups(link, log, settings.leaseMs)
    this.#reader = new Reader(link, log, this.#turns, this.#recent, settings.newInbox)
    this.#janitor = new Janitor(log, this.#groups, seals, this.#aside, this.#blobs)
    this.#signals = new Signals(link, log.names.signal)
    this.#ties = { link, names: log.names, aside: this.#aside, publisher: this.#publisher, recent: this.#recent }
    this.#beat = setInterval(() => void this.#onBeat(), settings.leaseMs / 6)
    this.#beat.unref()
    link.onReconnect(() => void this.#reconnected())
  }

  get problem(): TidingsError | undefined {
    return this.#link.problem
  }

  onEmptied(callback: () => void): () => void {
    this.#onEmptied.add(callback)
    return () => this.#onEmptied.delete(callback)
  }

  publish(entries: readonly EncodedEvent[]): Promise<PublishResult[]> {
    return this.#calls.run(() => this.#publisher.publish(entries))
  }

  commit(commit: Commit): Promise<CommitResult> {
    return this.#calls.run(async () => {
      const { group, task, settle } = commit
      const shard = this.#log.names.shardOf(correlationOf(task))
      const owned = this.#owned(group, shard)
      const view = owned?.begin()
      try {
        const accepted = await this.#turns.commit(commit, () => this.#isStopping(group))
        if (!accepted) return 'conflict'
        // Looked up once more: the lease may have run out meanwhile, and the shard may have been taken again since.
        if (view && this.#owned(group, shard) === owned) owned!.advanced(task, accepted, view)
        else await this.#announce(group, shard, accepted.seq, task)
      } finally {
        if (view) owned!.close(view)
      }
      await Promise.all(settle.map(({ delivery, outcome }) => (delivery as Handed).conclude(outcome)))
      return 'accepted'
    })
  }

  async subscribe(subscription: Subscription) {
    return this.#calls.run(async () => {
      await this.#groups.join(subscription)
      const { leaseMs, newInbox } = this.#settings
      const closed = (consumer: LocalConsumer) => void this.#consumers.delete(consumer)
      if (subscription.mode === 'shared') {
        const consumer = new SharedConsumer(this.#ties, subscription, this.#groups, leaseMs, newInbox, closed)
        this.#consumers.add(consumer)
        await this.#aside.adopt([subscription.group])
        return consumer
      }
      const context = { ties: this.#ties, log: this.#log, turns: this.#turns, groups: this.#groups, ...this.#settings }
      const consumer = new ShardedConsumer(context, subscription, closed)
      this.#consumers.add(consumer)
      await consumer.start()
      await this.#aside.adopt([subscription.group])
      return consumer
    })
  }

  createGroup(group: ConsumerGroup): Promise<void> {
    return this.#calls.run(() => this.#groups.make(group))
  }

  get(id: string, correlation: string) {
    return this.#calls.run(() => this.#reader.get(id, correlation))
  }

  isCallSettled(call: string) {
    return this.#calls.run(() => this.#reader.isSettled(call))
  }

  /** The document is for ever, as far as a claim can matter; the event is for those who read the log. */
  claim(_: Delivery, entry: EncodedEvent): Promise<boolean> {
    return this.#calls.run(async () => {
      const subject = this.#log.names.doc('claim', entry.event.id)
      if (await this.#log.state.last(subject)) return false
      // The event first: were the document there and the event refused, the call would count as started.
      await this.#publisher.publish([entry])
      return (await this.#log.state.putAfter(0, subject, '', { 'Nats-TTL': claimKept })) !== undefined
    })
  }

  async *read(query: LogQuery): AsyncGenerator<StoredEvent> {
    this.#calls.assertOpen()
    yield* this.#reader.read(query)
  }

  readAt(positions: readonly Position[]) {
    return this.#calls.run(() => this.#reader.at(positions))
  }

  head() {
    return this.#calls.run(() => this.#log.events.head())
  }

  async *follow(after: Position, filter: Filter | undefined, signal: AbortSignal): AsyncGenerator<StoredEvent> {
    this.#calls.assertOpen()
    yield* this.#reader.follow(after, filter, signal)
    if (!signal.aborted) this.#calls.assertOpen()
  }

  journal(task: string) {
    return this.#calls.run(async () => {
      const owners = this.#ownersOf(this.#log.names.shardOf(correlationOf(task)))
      const views = owners.map(owned => owned.begin())
      try {
        const repairOf = (newest: StoredMessage) => leastRepair(owners.map(owned => owned.repairOf(newest)))
        const { newest, ...journal } = await this.#turns.journal(task, repairOf)
        // Somebody else may have gone on with this task.
        if (newest) owners.forEach((owned, i) => owned.advanced(task, newest, views[i]!))
        return journal
      } finally {
        owners.forEach((owned, i) => owned.close(views[i]!))
      }
    })
  }

  newestTurns(correlation: string) {
    return this.#calls.run(() => this.#turns.newestOf(correlation))
  }

  hasMembers(group: string) {
    return this.#calls.run(() => this.#groups.hasMembers(group))
  }

  getDocument(key: string) {
    return this.#calls.run(async () => {
      const stored = await this.#log.state.last(this.#log.names.document(key))
      return stored && { revision: stored.seq, value: stored.text() }
    })
  }

  putDocument(key: string, value: string, expect: number) {
    return this.#calls.run(
      async () => (await this.#log.state.putAfter(expect, this.#log.names.document(key), value)) ?? 0,
    )
  }

  sendSignal(event: CloudEvent): void {
    if (!this.#calls.isClosed) this.#signals.send(event)
  }

  onSignal(callback: (event: CloudEvent) => void): () => void {
    return this.#calls.isClosed ? () => {} : this.#signals.listen(callback)
  }

  listGroups() {
    return this.#calls.run(async () => {
      await this.#flush()
      return this.#groups.states(group => this.#aside.delayed(group))
    })
  }

  async *listDeferred() {
    this.#calls.assertOpen()
    yield* this.#aside.list()
  }

  release(which: { id: string } | { key: string }) {
    return this.#calls.run(() => this.#aside.release(which))
  }

  drop(id: string) {
    return this.#calls.run(() => this.#aside.drop(id))
  }

  async *missedWakes(before: number) {
    this.#calls.assertOpen()
    yield* missedWakes(this.#log, before)
  }

  purge(retention: Retention) {
    return this.#calls.run(async () => {
      await this.#flush()
      this.#recent.clear()
      return this.#janitor.clean(retention)
    })
  }

  durability(): Promise<Durability> {
    return this.#calls.run(() => durabilityOf(this.#link, this.#log))
  }

  close(): Promise<void> {
    return this.#calls.close(() => this.#close())
  }

  async #close(): Promise<void> {
    clearInterval(this.#beat)
    this.#signals.close()
    this.#reader.close()
    await this.#calls.settled()
    await Promise.allSettled([...this.#consumers].map(consumer => consumer.close()))
    this.#aside.close()
    await this.#link.close()
  }

  /** Whoever stops first takes no more of a group, and then waits for the turns under way. */
  #isStopping(group: string): boolean {
    return this.#calls.isClosed || [...this.#consumers].some(({ hands }) => hands.group === group && hands.isPaused)
  }

  #owned(group: string, shard: number): OwnedShard | undefined {
    for (const consumer of this.#consumers)
      if (consumer instanceof ShardedConsumer && consumer.hands.group === group) {
        const owned = consumer.owned(shard)
        if (owned) return owned
      }
    return undefined
  }

  /** What this process knows of a shard, for each group for which it owns it. */
  #ownersOf(shard: number): OwnedShard[] {
    return [...this.#consumers].flatMap(consumer =>
      consumer instanceof ShardedConsumer ? (consumer.owned(shard) ?? []) : [],
    )
  }

  /** A task was changed by somebody who does not surely own its shard: whoever does must hear of it, now or later. */
  async #announce(group: string, shard: number, seq: number, task: string): Promise<void> {
    await announce(this.#log, group, shard, seq, task)
    this.#link.outbox.send(this.#log.names.change(shard, group), '')
  }

  async #flush(): Promise<void> {
    await Promise.all([...this.#consumers].map(({ hands }) => hands.flush()))
  }

  async #onBeat(): Promise<void> {
    if (!this.#link.isConnected) return
    const now = performance.now()
    for (const { hands } of this.#consumers) hands.beat(now)
    // What fails, as while the log is away, is tried again with the next beat.
    for (const consumer of this.#consumers) consumer.beat(now).catch(() => {})
    if (this.#adopting) return
    this.#adopting = true
    await this.#aside.adopt(new Set([...this.#consumers].map(({ hands }) => hands.group))).catch(() => {})
    this.#adopting = false
  }

  /** Until it is done, or the connection is lost once more. */
  async #reconnected(): Promise<void> {
    const turn = ++this.#reconnects
    this.#turns.forget()
    while (!this.#calls.isClosed && turn === this.#reconnects) {
      try {
        await this.#recognise()
        for (const consumer of this.#consumers) consumer.reconnected()
        return
      } catch {
        await setTimeout(againMs, undefined, { ref: false })
      }
    }
  }

  /** Whether the server still has this log. If not, it is made anew, and what is kept here of the old one is void. */
  async #recognise(): Promise<void> {
    const { names, replicas } = this.#log
    const { identity } = await provision(this.#link, names.shards, replicas)
    const isNew = identity !== this.#identity
    if (isNew) {
      this.#recent.clear()
      for (const { hands } of this.#consumers) hands.forget()
    }
    this.#link.recognised()
    if (isNew) for (const consumer of this.#consumers) await consumer.renewed()
    this.#identity = identity
    this.#reader.reconnected(isNew)
    if (isNew) for (const callback of this.#onEmptied) callback()
  }
}
