import type { Consumer, EncodedEvent, Subscription } from '../../bus/driver.ts'
import { readDelivery, type DeliverySource } from '../../bus/malformed.ts'
import type { CloudEvent } from '../../event.ts'
import { copyOf } from '../../json.ts'
import { SqliteConsumer } from './consumer.ts'
import { type DispatchedDelivery, type EventRow, type Settlement, sinceNow, type WriterReply } from './protocol.ts'
import type { OpSubmitter, PendingOp } from './writer-client.ts'

interface EventLookup {
  has(id: string): boolean
  locationOf(position: number): DeliverySource
}

/** The subscriptions of this process, on the main thread. */
export class ConsumerRegistry {
  readonly #submitter: OpSubmitter
  readonly #shards: number
  readonly #log: EventLookup
  readonly #consumers = new Map<number, SqliteConsumer>()
  /** Events that were submitted and are not on the log yet; each is delivered early at most once. */
  readonly #submittedIds = new Set<string>()
  #sharded: SqliteConsumer[] = []
  #lastNumber = 0

  constructor(submitter: OpSubmitter, shards: number, log: EventLookup) {
    this.#submitter = submitter
    this.#shards = shards
    this.#log = log
  }

  async subscribe(subscription: Subscription): Promise<Consumer> {
    const number = ++this.#lastNumber
    const consumer = new SqliteConsumer(number, subscription, {
      submitter: this.#submitter,
      shards: this.#shards,
      settle: (settlement, events) => this.#settle(settlement, events),
      onClose: () => this.#remove(number),
    })
    this.#consumers.set(number, consumer)
    this.#updateSharded()
    const { group, mode, filter, maxInFlight, limit = null, from } = subscription
    const options = { group, mode, filter, maxInFlight, limit, from }
    try {
      await this.#submitter.submit({ kind: 'subscribe', consumer: number, ...options })
    } catch (error) {
      this.#remove(number)
      throw error
    }
    return consumer
  }

  /** Submits an operation that stores events, and delivers early those that a local consumer may receive. */
  async store<T>(entries: readonly EncodedEvent[], submit: (events: EventRow[]) => Promise<T>): Promise<T> {
    const events = entries.map(entry => toRow(entry, this.#sharded.length > 0 ? this.#deliverEarly(entry.event) : 0))
    try {
      return await submit(events)
    } finally {
      if (this.#submittedIds.size) for (const { event } of entries) this.#submittedIds.delete(event.id)
    }
  }

  /** A commit with this settlement was accepted. */
  endDelivery({ consumer, eventId }: Settlement): void {
    this.#consumers.get(consumer)?.remove(eventId)
  }

  applyShardChanges({ lost, acquired, caughtUp }: WriterReply): void {
    for (const { consumer, shard } of lost) this.#consumers.get(consumer)?.loseShard(shard)
    for (const { consumer, shard, fencingToken } of acquired)
      this.#consumers.get(consumer)?.shardTokens.set(shard, fencingToken)
    for (const { consumer, isCaughtUp } of caughtUp) this.#consumers.get(consumer)?.setCaughtUp(isCaughtUp)
  }

  dispatch({ deliveries, wakes }: WriterReply, done: readonly PendingOp[]): void {
    for (const delivery of deliveries) {
      const { event, problem } = this.#eventOf(delivery, done)
      const since = availableSince(delivery, event)
      this.#consumers.get(delivery.consumer)?.receive(delivery, event, since, problem)
    }
    for (const { consumer, task, due } of wakes) this.#consumers.get(consumer)?.subscription.onWake?.(task, due)
  }

  /** A transaction was lost: deliveries of sharded groups are void, and the writer dispatches them another time. */
  loseAllShards(): void {
    this.#submittedIds.clear()
    for (const consumer of this.#sharded) consumer.loseAllShards()
  }

  /** Publishes `events` and ends a delivery, or only publishes them when the delivery is void already. */
  #settle(settlement: Settlement | undefined, entries: readonly EncodedEvent[]): Promise<unknown> {
    return this.store<unknown>(entries, events =>
      settlement
        ? this.#submitter.submit({ kind: 'settle', settlement, events }, entries)
        : this.#submitter.submit({ kind: 'publish', events }, entries),
    )
  }

  /**
   * Delivers an event before it is durable to the local consumer that owns its shard. This is safe because operations are first
   * in, first out: nothing derived from the event is durable before it. If another process stored another event under this id,
   * the writer revokes the fencing token that is returned. Returns 0 if no consumer received the event.
   */
  #deliverEarly(event: CloudEvent): number {
    const consumer = this.#sharded.find(candidate => candidate.matches(event))
    if (!consumer) return 0
    const isNew = !this.#submittedIds.has(event.id)
    this.#submittedIds.add(event.id)
    if (!isNew || !consumer.canReceiveEarly(event) || this.#log.has(event.id)) return 0
    return consumer.deliverEarly(copyOf(event))
  }

  #eventOf({ op, row, json, position }: DispatchedDelivery, done: readonly PendingOp[]) {
    if (op < 0) return readDelivery(json, () => this.#log.locationOf(position))
    return { event: copyOf(done[op]!.entries[row]!.event), problem: undefined }
  }

  #remove(number: number): void {
    this.#consumers.delete(number)
    this.#updateSharded()
  }

  #updateSharded(): void {
    this.#sharded = [...this.#consumers.values()].filter(({ subscription }) => subscription.mode === 'sharded')
  }
}

export const toRow = ({ event, json }: EncodedEvent, earlyToken = 0): EventRow => ({
  id: event.id,
  type: event.type,
  target: event.target ?? null,
  correlation: event.correlationid,
  json,
  earlyToken,
})

function availableSince({ since }: DispatchedDelivery, event: CloudEvent): number {
  if (since > 0) return since
  return since === sinceNow ? Date.now() : Date.parse(event.time)
}
