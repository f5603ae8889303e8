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
  MissedWake,
  Position,
  PurgeResult,
  LogQuery,
  Retention,
  Subscription,
} from '../../bus/driver.ts'
import { cancelId, resultId } from '../../bus/ids.ts'
import { TidingsError } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import type { Filter } from '../../pattern.ts'
import { Blobs } from './blobs.ts'
import { Consumers } from './consumers.ts'
import { follow } from './follow.ts'
import { Line, noWriter, readOnly, type LineListener, type Writes } from './line.ts'
import type { Handed } from './local.ts'
import type { Horizon, LocalShard, Settings, WriterOptions } from './protocol.ts'
import { announce } from './presence.ts'
import { breath, Reader } from './reader.ts'
import type { ReadableLog } from './read-only.ts'
import { logFile } from './schema.ts'
import { Signals } from './signals.ts'
import { keepArmed, unarmed } from './unarmed.ts'

interface Parts {
  readonly reader: Reader
  readonly line: (listener: LineListener) => Writes
  readonly leave: () => void
}

/** The embedded broker: one SQLite file, one writer thread for each process. */
export class SqliteDriver implements Driver {
  readonly name = 'sqlite'
  readonly shards: number
  readonly isReadOnly: boolean
  readonly blobs: BlobStore = {
    put: async (tenant, bytes) => {
      this.#open()
      if (this.isReadOnly) throw readOnly()
      return this.#blobs.put(tenant, bytes)
    },
    get: async (tenant, ref) => {
      this.#open()
      return this.#blobs.get(tenant, ref)
    },
  }
  readonly #line: Writes
  readonly #reader: Reader
  readonly #consumers: Consumers
  readonly #blobs: Blobs
  readonly #signals: Signals
  readonly #onAppend = new Set<() => void>()
  readonly #leave: () => void
  #readersTold = false
  /** Since it works on tasks: ends the looking for missing wake-ups. */
  #armed: AbortController | undefined
  #closing: Promise<void> | undefined

  private constructor(home: string, shards: number, { reader, line, leave }: Parts) {
    this.shards = shards
    this.#leave = leave
    this.#reader = reader
    this.#blobs = new Blobs(home)
    this.#signals = new Signals(home)
    this.#line = line({
      onReply: (reply, done) => {
        this.#signals.hasOthers = reply.others > 0
        this.#consumers.shardsChanged(reply)
        for (let i = 0; i < done.length; i++) done[i]!.resolve(reply.results[i]!)
        this.#consumers.handOut(reply, done)
        if (reply.grew) this.#tellReaders()
      },
      onFailure: () => this.#consumers.lost(),
    })
    this.isReadOnly = this.#line === noWriter
    this.#consumers = new Consumers(this.#line, this.shards, this.#reader)
  }

  static open(options: WriterOptions): SqliteDriver {
    const { home, shards } = options
    const leave = announce(home)
    return new SqliteDriver(home, shards, {
      reader: new Reader(logFile(home)),
      line: listener => new Line(options, listener),
      leave,
    })
  }

  /** Nothing is written, and what would be is refused. */
  static openReadOnly(home: string, { file, shards, leave }: ReadableLog): SqliteDriver {
    return new SqliteDriver(home, shards, { reader: new Reader(file), line: () => noWriter, leave })
  }

  async publish(entries: readonly EncodedEvent[]): Promise<PublishResult[]> {
    const rows = this.#consumers.flatten(entries, true)
    try {
      const positions = (await this.#line.submit(['publish', rows], entries)) as number[]
      return positions.map(position => ({ position: Math.abs(position), duplicate: position < 0 }))
    } finally {
      this.#consumers.arrived(entries)
    }
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const { group, task, expect, turn, events, settle, wake, snapshot, end = false } = commit
    const settlements = settle.map(({ delivery, outcome }) => (delivery as Handed).settlement(outcome))
    const entries = [turn, ...events]
    const rows = this.#consumers.flatten(entries, false)
    const isAccepted = await this.#line.submit(
      ['commit', group, task, expect, wake, snapshot, end, settlements, rows],
      entries,
    )
    if (!isAccepted) return 'conflict'
    for (const settlement of settlements) this.#consumers.settled(settlement)
    return 'accepted'
  }

  async subscribe(subscription: Subscription) {
    const consumer = await this.#consumers.subscribe(subscription)
    if (subscription.mode === 'sharded' && !this.#armed) {
      this.#armed = new AbortController()
      void keepArmed(this.#reader, this.#blobs, this.#line, this.#armed.signal)
    }
    return consumer
  }

  async createGroup({ group, mode, filter, from }: ConsumerGroup): Promise<void> {
    await this.#line.submit(['provision', group, mode, filter, from])
  }

  async get(id: string) {
    return this.#open().get(id)
  }

  async isCallSettled(call: string) {
    const reader = this.#open()
    return reader.has(cancelId(call)) || reader.has(resultId(call))
  }

  async claim(_: Delivery, entry: EncodedEvent): Promise<boolean> {
    const [claimed] = await this.publish([entry])
    return !claimed!.duplicate
  }

  async *read(query: LogQuery) {
    yield* this.#open().read(query)
  }

  async readAt(positions: readonly Position[]) {
    return this.#open().at(positions)
  }

  async head() {
    return this.#open().head()
  }

  async *follow(after: Position, filter: Filter | undefined, signal: AbortSignal) {
    const onAppend = (callback: () => void) => {
      this.#onAppend.add(callback)
      return () => void this.#onAppend.delete(callback)
    }
    yield* follow({ head: () => this.head(), read: query => this.read(query), onAppend }, after, filter, signal)
  }

  async journal(task: string) {
    return this.#open().journal(task)
  }

  async newestTurns(correlation: string) {
    return this.#open().newestTurns(correlation)
  }

  async hasMembers(group: string) {
    return this.#open().hasMembers(group)
  }

  async getDocument(key: string) {
    return this.#open().document(key)
  }

  async putDocument(key: string, value: string, expect: number): Promise<number> {
    return (await this.#line.submit(['document', key, value, expect])) ? expect + 1 : 0
  }

  sendSignal(event: CloudEvent): void {
    this.#signals.send(event)
  }

  onSignal(callback: (event: CloudEvent) => void): () => void {
    return this.#signals.listen(callback)
  }

  async listGroups() {
    const local = (await this.#line.submit(['groups'])) as LocalShard[]
    return this.#open().groups(local)
  }

  async *listDeferred() {
    yield* this.#open().attention()
  }

  async release(which: { id: string } | { key: string }): Promise<number> {
    const [id, key] = 'id' in which ? [Number(which.id), null] : [null, which.key]
    return (await this.#line.submit(['release', id, key])) as number
  }

  async drop(id: string): Promise<boolean> {
    return (await this.#line.submit(['drop', Number(id)])) as boolean
  }

  async *missedWakes(before: number): AsyncGenerator<MissedWake> {
    yield* this.#open().overdue(before)
    for await (const { group, task, due } of unarmed(this.#open(), this.#blobs, breath))
      yield { kind: 'unarmed', group, task, due }
  }

  /** In chunks, between which writers have their turn. */
  async purge({ age, maxLag }: Retention): Promise<PurgeResult> {
    const { horizon, heldBy } = (await this.#line.submit(['horizon', age, maxLag])) as Horizon
    let events = 0
    for (;;) {
      const purged = (await this.#line.submit(['purge', horizon])) as number
      if (purged === 0) break
      events += purged
    }
    await this.#purgeBlobs(Date.now() - age)
    return { events, horizon, heldBy }
  }

  async durability(): Promise<Durability> {
    const { journal, synchronous } = (await this.#line.submit(['durability'])) as Settings
    const detail = `journal_mode=${journal} synchronous=${synchronousNames[synchronous] ?? synchronous}`
    return { survives: journal === 'wal' && synchronous >= 2 ? 'power' : 'process', detail }
  }

  /** Readers come after workers: what the hand-outs lead to goes to the writer first, and many appends are one call. */
  #tellReaders(): void {
    if (this.#readersTold) return
    this.#readersTold = true
    setImmediate(() =>
      setImmediate(() => {
        this.#readersTold = false
        for (const callback of this.#onAppend) callback()
      }),
    )
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #purgeBlobs(cutoff: number): Promise<void> {
    const refs = await this.#blobs.old(cutoff)
    if (refs.size === 0) return
    await this.#open().keepUnnamed(refs)
    await this.#blobs.purge(refs, cutoff)
  }

  async #close(): Promise<void> {
    this.#armed?.abort()
    this.#signals.close()
    await this.#line.close()
    this.#reader.close()
    this.#leave()
  }

  #open(): Reader {
    if (this.#closing) throw new TidingsError('E_BUS_CLOSED', 'The log is closed')
    return this.#reader
  }
}

const synchronousNames = ['OFF', 'NORMAL', 'FULL', 'EXTRA']
