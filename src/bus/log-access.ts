import type { CloudEvent } from '../event.ts'
import type {
  Commit,
  CommitResult,
  Consumer,
  ConsumerGroup,
  Cursor,
  DeferredDelivery,
  Driver,
  Durability,
  EncodedEvent,
  GroupState,
  MissedWake,
  Position,
  PurgeResult,
  Retention,
  StoredEvent,
  Subscription,
  TaskJournal,
} from './driver.ts'
import type { TidingsError } from '../errors.ts'

/** The parts of the driver contract that the bus passes through unchanged. */
export abstract class LogAccess {
  readonly driver: Driver

  protected constructor(driver: Driver) {
    this.driver = driver
  }

  /** Name of the broker, for people and telemetry. */
  get name(): string {
    return this.driver.name
  }

  get shards(): number {
    return this.driver.shards
  }

  get isReadOnly(): boolean {
    return this.driver.isReadOnly ?? false
  }

  /** Why the log cannot be used now, as far as that is known without asking the broker. */
  get problem(): TidingsError | undefined {
    return this.driver.problem
  }

  get partitions(): number {
    return this.driver.partitions
  }

  /** Covers every event that is on the log now. */
  head(): Promise<Cursor> {
    return this.driver.head()
  }

  /** The events at these positions; undefined where there is none, or none any more. */
  readAt(positions: readonly Position[]): Promise<(StoredEvent | undefined)[]> {
    return this.driver.readAt(positions)
  }

  /** An event with its position. `correlation`: that of the event. */
  find(id: string, correlation: string): Promise<StoredEvent | undefined> {
    return this.driver.get(id, correlation)
  }

  journal(task: string): Promise<TaskJournal> {
    return this.driver.journal(task)
  }

  /** The newest turn of each task of a correlation, including tasks that ended. */
  newestTurns(correlation: string): Promise<CloudEvent[]> {
    return this.driver.newestTurns(correlation)
  }

  /** Whether a call is answered or cancelled. False may also mean that the driver cannot tell. */
  isCallSettled(call: string): Promise<boolean> {
    return this.driver.isCallSettled(call)
  }

  commit(commit: Commit): Promise<CommitResult> {
    return this.driver.commit(commit)
  }

  /** Publishes events as the bus encoded them, without telemetry: for an import. */
  async publishEncoded(entries: readonly EncodedEvent[]): Promise<void> {
    await this.driver.publish(entries)
  }

  /** Sends an event that is redacted already, such as one of a committed turn, as a signal. */
  sendSignal(event: CloudEvent): void {
    this.driver.sendSignal(event)
  }

  subscribe(subscription: Subscription): Promise<Consumer> {
    return this.driver.subscribe(subscription)
  }

  createGroup(group: ConsumerGroup): Promise<void> {
    return this.driver.createGroup(group)
  }

  listGroups(): Promise<GroupState[]> {
    return this.driver.listGroups()
  }

  hasMembers(group: string): Promise<boolean> {
    return this.driver.hasMembers(group)
  }

  listDeferred(): AsyncIterable<DeferredDelivery> {
    return this.driver.listDeferred()
  }

  /** Delivers deferred events again. Returns how many there were. */
  redeliver(which: { id: string } | { key: string }): Promise<number> {
    return this.driver.redeliver(which)
  }

  /** Ends a deferred delivery permanently. False if there is no such entry. */
  discard(id: string): Promise<boolean> {
    return this.driver.discard(id)
  }

  missedWakes(before: number): AsyncIterable<MissedWake> {
    return this.driver.missedWakes(before)
  }

  /** Calls back if the broker came back without its data. Returns the function that removes the callback. */
  onEmptied(callback: () => void): () => void {
    return this.driver.onEmptied?.(callback) ?? (() => {})
  }

  purge(retention: Retention): Promise<PurgeResult> {
    return this.driver.purge(retention)
  }

  durability(): Promise<Durability> {
    return this.driver.durability()
  }

  close(): Promise<void> {
    return this.driver.close()
  }
}
