import type { Worker } from 'node:worker_threads'
import type {
  AppendResult,
  BlobStore,
  Commit,
  CommitResult,
  Driver,
  EncodedEvent,
  LogTransfer,
  MissedWake,
  PurgeResult,
  Retention,
  Subscription,
} from '../../bus/driver.ts'
import { cancelId, resultId } from '../../bus/ids.ts'
import { followByReading } from '../shared/follow.ts'
import { OpenCalls } from '../shared/open-calls.ts'
import { BlobFiles } from './blob-files.ts'
import type { SqliteDelivery } from './consumer.ts'
import { ConsumerRegistry, toRow } from './consumer-registry.ts'
import { findMissingWakes, restoreMissingWakes } from './missing-wakes.ts'
import { registerOpenLog } from './open-logs.ts'
import type { WriterOptions } from './protocol.ts'
import type { ReadableLog } from './read-only.ts'
import { LogReader, yieldToEventLoop } from './reader.ts'
import { logFile } from './schema.ts'
import { SignalFile } from './signal-file.ts'
import { exportSqliteLog } from './transfer/export.ts'
import { importSqliteLog } from './transfer/import.ts'
import {
  type OpSubmitter,
  readOnlyError,
  readOnlySubmitter,
  WriterClient,
  type WriterListener,
} from './writer-client.ts'

interface DriverParts {
  readonly reader: LogReader
  readonly connect: (listener: WriterListener) => OpSubmitter
  readonly transfer: LogTransfer
  /** Called after the driver has closed. */
  readonly release: () => void
}

/** The embedded broker: one SQLite file, one writer thread for each process. */
export class SqliteDriver implements Driver {
  readonly name = 'sqlite'
  readonly shards: number
  readonly partitions = 1
  readonly isReadOnly: boolean
  readonly transfer: LogTransfer
  readonly blobs: BlobStore = {
    put: async (tenant, bytes) => {
      this.#openReader()
      if (this.isReadOnly) throw readOnlyError()
      return this.#blobs.put(tenant, bytes)
    },
    get: async (tenant, ref) => {
      this.#openReader()
      return this.#blobs.get(tenant, ref)
    },
  }
  readonly #submitter: OpSubmitter
  readonly #reader: LogReader
  readonly #consumers: ConsumerRegistry
  readonly #blobs: BlobFiles
  readonly #signals: SignalFile
  readonly #onAppend = new Set<() => void>()
  readonly #release: () => void
  #isAppendCallScheduled = false
  /** Stops the search for missing wake-ups, which starts with the first sharded subscription. */
  #wakeCheck: AbortController | undefined
  readonly #calls = new OpenCalls()

  private constructor(home: string, shards: number, { reader, connect, transfer, release }: DriverParts) {
    this.shards = shards
    this.#release = release
    this.transfer = transfer
    this.#reader = reader
    this.#blobs = new BlobFiles(home)
    this.#signals = new SignalFile(home)
    this.#submitter = connect({
      onReply: (reply, done) => {
        this.#signals.hasOthers = reply.otherMembers > 0
        this.#consumers.applyShardChanges(reply)
        for (let i = 0; i < done.length; i++) done[i]!.resolve(reply.results[i]!)
        this.#consumers.dispatch(reply, done)
        if (reply.grew) this.#scheduleAppendCall()
      },
      onFailure: () => this.#consumers.loseAllShards(),
    })
    this.isReadOnly = this.#submitter === readOnlySubmitter
    this.#consumers = new ConsumerRegistry(this.#submitter, this.shards, this.#reader)
  }

  static open(options: WriterOptions, startWriter: (options: WriterOptions) => Worker): SqliteDriver {
    const { home, shards } = options
    const release = registerOpenLog(home)
    const reader = new LogReader(logFile(home))
    return new SqliteDriver(home, shards, {
      reader,
      connect: listener => new WriterClient(startWriter(options), listener),
      transfer: {
        busyGroups: async () => reader.busyGroups(),
        exportRecords: () => exportSqliteLog(logFile(home)),
        importRecords: (records, above) => importSqliteLog(options, records, above),
      },
      release,
    })
  }

  static openReadOnly(home: string, { file, shards, release }: ReadableLog): SqliteDriver {
    const reader = new LogReader(file)
    return new SqliteDriver(home, shards, {
      reader,
      connect: () => readOnlySubmitter,
      transfer: {
        busyGroups: async () => reader.busyGroups(),
        exportRecords: () => exportSqliteLog(file),
        importRecords: () => Promise.reject(readOnlyError()),
      },
      release,
    })
  }

  async publish(entries: readonly EncodedEvent[]): Promise<AppendResult[]> {
    const positions = await this.#consumers.store(entries, events =>
      this.#submitter.submit({ kind: 'publish', events }, entries),
    )
    return positions.map(pos => ({ position: { partition: 0, offset: Math.abs(pos) }, duplicate: pos < 0 }))
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const { group, task, expect, turn, settle, wake, snapshot, end = false } = commit
    const settlements = settle.map(({ delivery, outcome }) => (delivery as SqliteDelivery).settlement(outcome))
    const entries = [turn, ...commit.events]
    const events = entries.map(entry => toRow(entry))
    const isAccepted = await this.#submitter.submit(
      { kind: 'commit', group, task, expect, wake, snapshot, end, settlements, events },
      entries,
    )
    if (!isAccepted) return 'conflict'
    for (const settlement of settlements) this.#consumers.endDelivery(settlement)
    return 'accepted'
  }

  async subscribe(subscription: Subscription) {
    const consumer = await this.#consumers.subscribe(subscription)
    if (subscription.mode === 'sharded' && !this.#wakeCheck) {
      this.#wakeCheck = new AbortController()
      void restoreMissingWakes(this.#reader, this.#blobs, this.#submitter, this.#wakeCheck.signal)
    }
    return consumer
  }

  readonly createGroup: Driver['createGroup'] = ({ group, mode, filter, from }) =>
    this.#submitter.submit({ kind: 'provision', group, mode, filter, from })
  readonly get: Driver['get'] = async id => this.#openReader().get(id)
  readonly readAt: Driver['readAt'] = async positions => this.#openReader().at(positions)
  readonly head: Driver['head'] = async () => String(this.#openReader().head())
  readonly horizon: Driver['horizon'] = async () => String(this.#openReader().horizon())
  readonly read: Driver['read'] = query => this.#calls.list(() => this.#reader.read(query))
  readonly follow: Driver['follow'] = (after, filter, signal) => followByReading(this, after, filter, signal)
  readonly journal: Driver['journal'] = async task => this.#openReader().journal(task)
  readonly newestTurns: Driver['newestTurns'] = async correlation => this.#openReader().newestTurns(correlation)
  readonly hasMembers: Driver['hasMembers'] = async group => this.#openReader().hasMembers(group)
  readonly listDeferred: Driver['listDeferred'] = () => this.#calls.list(() => this.#reader.deferred())
  readonly getDocument: Driver['getDocument'] = async key => this.#openReader().document(key, Date.now())
  readonly putDocument: Driver['putDocument'] = async (key, value, expect, ttlMs) =>
    (await this.#submitter.submit({ kind: 'putDocument', key, value, expect, ttlMs: ttlMs ?? null })) ? expect + 1 : 0
  readonly sendSignal: Driver['sendSignal'] = event => this.#signals.send(event)
  readonly onSignal: Driver['onSignal'] = callback => this.#signals.listen(callback)
  readonly discard: Driver['discard'] = id => this.#submitter.submit({ kind: 'drop', id: Number(id) })
  readonly redeliver: Driver['redeliver'] = which =>
    'id' in which
      ? this.#submitter.submit({ kind: 'release', id: Number(which.id) })
      : this.#submitter.submit({ kind: 'releaseParked', key: which.key })

  readonly isCallSettled: Driver['isCallSettled'] = async call => {
    const reader = this.#openReader()
    return reader.has(cancelId(call)) || reader.has(resultId(call))
  }

  readonly claim: Driver['claim'] = async (_, entry) => {
    const [claimed] = await this.publish([entry])
    return !claimed!.duplicate
  }

  readonly listGroups: Driver['listGroups'] = async () => {
    const progress = await this.#submitter.submit({ kind: 'shardProgress' })
    return this.#openReader().groups(progress)
  }

  onAppend(callback: () => void): () => void {
    this.#onAppend.add(callback)
    return () => void this.#onAppend.delete(callback)
  }

  async *missedWakes(before: number): AsyncGenerator<MissedWake> {
    yield* this.#openReader().overdue(before)
    for await (const { group, task, due } of findMissingWakes(this.#openReader(), this.#blobs, yieldToEventLoop))
      yield { kind: 'unarmed', group, task, due }
  }

  /** Purges in chunks, so that other operations are not blocked for long. */
  async purge({ maxAgeMs: age, maxLag }: Retention): Promise<PurgeResult> {
    const { horizon, heldBy } = await this.#submitter.submit({ kind: 'horizon', age, maxLag })
    let events = 0
    for (;;) {
      const purged = await this.#submitter.submit({ kind: 'purge', horizon })
      if (purged === 0) break
      events += purged
    }
    await this.#purgeBlobs(Date.now() - age)
    return { events, heldBy }
  }

  readonly durability: Driver['durability'] = async () => {
    const { journal, synchronous } = await this.#submitter.submit({ kind: 'durability' })
    const detail = `journal_mode=${journal} synchronous=${synchronousNames[synchronous] ?? synchronous}`
    return { survives: journal === 'wal' && synchronous >= 2 ? 'power' : 'process', detail }
  }

  readonly close: Driver['close'] = () =>
    this.#calls.close(async () => {
      this.#wakeCheck?.abort()
      this.#signals.close()
      await this.#submitter.close()
      this.#reader.close()
      this.#release()
    })

  /** Calls readers after workers have submitted what follows from the new deliveries, and once for many appends. */
  #scheduleAppendCall(): void {
    if (this.#isAppendCallScheduled) return
    this.#isAppendCallScheduled = true
    setImmediate(() =>
      setImmediate(() => {
        this.#isAppendCallScheduled = false
        for (const callback of this.#onAppend) callback()
      }),
    )
  }

  async #purgeBlobs(cutoff: number): Promise<void> {
    const refs = await this.#blobs.olderThan(cutoff)
    if (refs.size === 0) return
    await this.#openReader().removeReferenced(refs)
    await this.#blobs.purge(refs, cutoff)
  }

  #openReader(): LogReader {
    this.#calls.assertOpen()
    return this.#reader
  }
}

const synchronousNames = ['OFF', 'NORMAL', 'FULL', 'EXTRA']
