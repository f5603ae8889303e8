import type { TidingsError } from '../errors.ts'
import type { Now } from './clock.ts'
import { CopyGuard } from './copy/guard.ts'
import { subscribeUnlessMoved } from './copy/subscribe.ts'
import type { DocumentStore, Driver, EncodedEvent } from './driver.ts'

/** The parts of the driver contract that the bus passes through unchanged; `contract/` describes them. */
export abstract class LogAccess {
  readonly driver: Driver

  /** The wall clock, in ms since the epoch: of event times, deadlines and delays. */
  readonly now: Now
  readonly #guard: CopyGuard

  protected constructor(driver: Driver) {
    this.driver = driver
    this.#guard = new CopyGuard(driver)
    // Looked up at each call, because a test may replace `Date.now`.
    this.now = driver.now ?? (() => Date.now())
  }

  /** Name of the broker, for people and telemetry. */
  get name(): string {
    return this.driver.name
  }

  get shards(): number {
    return this.driver.shards
  }

  get partitions(): number {
    return this.driver.partitions
  }

  get isReadOnly(): boolean {
    return this.driver.isReadOnly ?? false
  }

  get problem(): TidingsError | undefined {
    return this.driver.problem
  }

  readonly head: Driver['head'] = () => this.driver.head()
  readonly horizon: Driver['horizon'] = () => this.driver.horizon()
  readonly readAt: Driver['readAt'] = positions => this.driver.readAt(positions)
  readonly read: Driver['read'] = query => this.driver.read(query)
  readonly follow: Driver['follow'] = (after, filter, signal) => this.driver.follow(after, filter, signal)
  /** An event with its position. `correlation`: that of the event. */
  readonly find: Driver['get'] = (id, correlation) => this.driver.get(id, correlation)
  readonly commit: Driver['commit'] = commit => this.whenUsable(() => this.driver.commit(commit))
  readonly journal: Driver['journal'] = task => this.driver.journal(task)
  readonly newestTurns: Driver['newestTurns'] = correlation => this.driver.newestTurns(correlation)
  readonly isCallSettled: Driver['isCallSettled'] = call => this.driver.isCallSettled(call)
  readonly missedWakes: Driver['missedWakes'] = before => this.driver.missedWakes(before)
  readonly subscribe: Driver['subscribe'] = subscription => subscribeUnlessMoved(this.driver, this.#guard, subscription)
  readonly createGroup: Driver['createGroup'] = group => this.whenUsable(() => this.driver.createGroup(group))
  readonly listGroups: Driver['listGroups'] = () => this.driver.listGroups()
  readonly hasMembers: Driver['hasMembers'] = group => this.driver.hasMembers(group)
  readonly listDeferred: Driver['listDeferred'] = () => this.driver.listDeferred()
  readonly redeliver: Driver['redeliver'] = which => this.whenUsable(() => this.driver.redeliver(which))
  readonly discard: Driver['discard'] = id => this.whenUsable(() => this.driver.discard(id))
  /** Sends an event that is redacted already, such as one of a committed turn, as a signal. */
  readonly sendSignal: Driver['sendSignal'] = event => this.driver.sendSignal(event)
  readonly onEmptied: Required<Driver>['onEmptied'] = callback => this.driver.onEmptied?.(callback) ?? (() => {})
  readonly purge: Driver['purge'] = retention => this.whenUsable(() => this.driver.purge(retention))
  readonly durability: Driver['durability'] = () => this.driver.durability()
  readonly close: Driver['close'] = () => this.driver.close()

  /** That of the driver, which is written only while the log may be used. */
  protected readonly documentStore: DocumentStore = {
    getDocument: key => this.driver.getDocument(key),
    putDocument: (...document) => this.whenUsable(() => this.driver.putDocument(...document)),
  }

  /** Publishes events as the bus encoded them, without telemetry: for an import. */
  async publishEncoded(entries: readonly EncodedEvent[]): Promise<void> {
    await this.whenUsable(() => this.driver.publish(entries))
  }

  /** @throws E_LOG_MOVED, E_COPY_UNVERIFIED */
  assertUsable(): Promise<void> {
    return this.#guard.check()
  }

  /** Writes, unless the log is being copied, or was. @throws E_LOG_MOVED, E_COPY_UNVERIFIED */
  protected whenUsable<T>(write: () => Promise<T>): Promise<T> {
    return this.#guard.isOpen ? write() : this.#guard.check().then(write)
  }
}
