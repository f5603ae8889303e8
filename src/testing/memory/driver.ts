import { hash } from 'node:crypto'
import { cancelId, followByReading, OpenCalls, resultId, type Driver } from '../../driver.ts'
import type { MemoryLog } from './log.ts'

/**
 * One member of a log in memory. Everything that outlives the member is in its `MemoryLog`.
 * @example
 * const log = new MemoryLog()
 * const running = await start(shop, { driver: new MemoryDriver(log) })
 */
export class MemoryDriver implements Driver {
  readonly name = 'memory'
  readonly shards: number
  readonly partitions: number
  readonly now: Required<Driver>['now']
  readonly #log: MemoryLog
  readonly #calls = new OpenCalls()
  readonly #onClose: (() => unknown)[] = []

  constructor(log: MemoryLog) {
    this.#log = log
    this.shards = log.shards
    this.partitions = log.partitions
    this.now = log.clock.now
  }

  // EventLog
  readonly publish: Driver['publish'] = entries => this.call(log => log.publish(entries))
  readonly get: Driver['get'] = id => this.call(log => log.get(id))
  readonly read: Driver['read'] = query => this.list(log => log.read(query))
  readonly readAt: Driver['readAt'] = positions => this.call(log => positions.map(position => log.at(position)))
  readonly head: Driver['head'] = () => this.call(log => log.head)
  readonly horizon: Driver['horizon'] = () => this.call(log => log.horizon)
  readonly follow: Driver['follow'] = (after, filter, signal) => followByReading(this, after, filter, signal)
  onAppend(callback: () => void): () => void {
    this.#log.appendListeners.add(callback)
    return () => void this.#log.appendListeners.delete(callback)
  }

  // TaskStore
  readonly commit: Driver['commit'] = commit => this.call(log => log.commit(commit))
  readonly journal: Driver['journal'] = task => this.call(log => log.journal(task))
  readonly newestTurns: Driver['newestTurns'] = correlation => this.call(log => log.newestTurns(correlation))
  readonly isCallSettled: Driver['isCallSettled'] = call =>
    this.call(({ byId }) => byId.has(resultId(call)) || byId.has(cancelId(call)))
  readonly claim: Driver['claim'] = (_, entry) => this.call(log => log.claim(entry))
  readonly missedWakes: Driver['missedWakes'] = before => this.list(log => log.missedWakes(before))

  // ConsumerGroups
  readonly subscribe: Driver['subscribe'] = subscription =>
    this.call(log => {
      const consumer = log.group(subscription).join(subscription)
      this.#onClose.push(consumer.close)
      return consumer
    })
  readonly createGroup: Driver['createGroup'] = group => this.call(log => void log.group(group))
  readonly listGroups: Driver['listGroups'] = () => this.call(log => log.sortedGroups.map(({ state }) => state))
  readonly hasMembers: Driver['hasMembers'] = group => this.call(log => !!log.groups.get(group)?.members.length)

  // DeadLetters
  readonly listDeferred: Driver['listDeferred'] = () =>
    this.list(log => log.sortedGroups.flatMap(({ deferredDeliveries }) => deferredDeliveries))
  readonly redeliver: Driver['redeliver'] = which =>
    this.call(log => log.sortedGroups.reduce((sum, group) => sum + group.redeliver(which), 0))
  readonly discard: Driver['discard'] = id => this.call(log => log.sortedGroups.some(group => group.discard(id)))

  // DocumentStore
  readonly getDocument: Driver['getDocument'] = key => this.call(log => log.document(key))
  readonly putDocument: Driver['putDocument'] = (key, value, expect, ttlMs = Infinity) =>
    this.call(log => {
      if ((log.document(key)?.revision ?? 0) !== expect) return 0
      log.documents.set(key, { revision: expect + 1, value, until: log.clock.now() + ttlMs })
      return expect + 1
    })

  // BlobStore
  readonly blobs: Required<Driver>['blobs'] = {
    put: (tenant, bytes) =>
      this.call(({ blobs }) => {
        const ref = `sha256-${hash('sha256', bytes, 'hex')}`
        blobs.set(JSON.stringify([tenant, ref]), Uint8Array.from(bytes))
        return ref
      }),
    get: (tenant, ref) => this.call(({ blobs }) => blobs.get(JSON.stringify([tenant, ref]))),
  }

  // SignalChannel
  readonly sendSignal: Driver['sendSignal'] = event => {
    if (this.#calls.isClosed) return
    for (const listener of this.#log.signalListeners) listener(structuredClone(event))
  }
  readonly onSignal: Driver['onSignal'] = callback => {
    if (this.#calls.isClosed) return () => {}
    const { signalListeners } = this.#log
    // The same callback may listen twice.
    const listener: typeof callback = event => callback(event)
    const stop = () => void signalListeners.delete(listener)
    signalListeners.add(listener)
    this.#onClose.push(stop)
    return stop
  }

  // LogAdmin
  readonly purge: Driver['purge'] = retention => this.call(log => log.purge(retention))
  readonly durability: Driver['durability'] = async () => ({ survives: 'nothing', detail: 'kept in memory' })
  readonly close: Driver['close'] = () =>
    this.#calls.close(async () => {
      await this.#calls.settled()
      for (const close of this.#onClose) await close()
      // Followers of this member look at the log and find it closed.
      for (const listener of this.#log.appendListeners) listener()
    })

  protected call<T>(work: (log: MemoryLog) => T | Promise<T>): Promise<T> {
    this.#log.activity++
    return this.#calls.run(async () => work(this.#log))
  }

  protected list<T>(items: (log: MemoryLog) => Iterable<T> | AsyncIterable<T>): AsyncIterable<T> {
    this.#log.activity++
    return this.#calls.list(() => items(this.#log))
  }
}
