import type { Consumer, Delivery, EncodedEvent, DeliveryOutcome, Subscription } from '../../bus/driver.ts'
import { shardOf } from '../../bus/ids.ts'
import type { Reason } from '../../bus/reason.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter } from '../../pattern.ts'
import { DeliveryWindow } from '../shared/delivery-window.ts'
import type { DispatchedDelivery, Settlement } from './protocol.ts'
import type { OpSubmitter } from './writer-client.ts'

/** What a consumer and its deliveries need of the driver. */
export interface DeliveryContext {
  readonly submitter: OpSubmitter
  readonly shards: number
  settle(settlement: Settlement | undefined, events: readonly EncodedEvent[]): Promise<unknown>
  onClose(): void
}

/** One subscription: its deliveries in flight, the shards it owns, and whether it may receive events early. */
export class SqliteConsumer implements Consumer {
  readonly number: number
  readonly subscription: Subscription
  readonly matches
  /** By event id. What waits was dispatched by the writer while early deliveries filled the window. */
  readonly window: DeliveryWindow<string, SqliteDelivery>
  /** The fencing token of each shard that this consumer owns. */
  readonly shardTokens = new Map<number, number>()
  readonly context: DeliveryContext
  #isCaughtUp = false

  constructor(number: number, subscription: Subscription, context: DeliveryContext) {
    this.number = number
    this.subscription = subscription
    this.context = context
    this.matches = compileFilter(subscription.filter)
    this.window = new DeliveryWindow(subscription, ({ event }) => event.id)
  }

  get group(): string {
    return this.subscription.group
  }

  pause(): void {
    if (this.window.isPaused) return
    this.window.isPaused = true
    this.context.submitter.submit({ kind: 'pause', consumer: this.number }).catch(ignore)
  }

  /** If the log cannot be written, the writer gives the deliveries back as soon as it can. */
  async close(): Promise<void> {
    this.window.isPaused = true
    this.window.forget(() => true)
    this.context.onClose()
    await this.context.submitter.submit({ kind: 'unsubscribe', consumer: this.number }).catch(ignore)
  }

  canReceiveEarly(event: CloudEvent): boolean {
    const { waiting, room } = this.window
    return this.#isCaughtUp && waiting.length === 0 && room > 0 && this.shardTokens.has(this.#shardOf(event))
  }

  /** Delivers an event that is not durable yet. Returns the fencing token of its shard. */
  deliverEarly(event: CloudEvent): number {
    const fencingToken = this.shardTokens.get(this.#shardOf(event))!
    const delivery = new SqliteDelivery(this, event, { attempt: 1, since: Date.now(), position: 0, fencingToken })
    this.window.hold(delivery)
    queueMicrotask(() => {
      if (this.window.has(delivery)) this.subscription.onDelivery(delivery)
    })
    return fencingToken
  }

  /** `problem`: why the log holds no valid event at this position; `event` is its placeholder. */
  receive(dispatched: DispatchedDelivery, event: CloudEvent, since: number, problem?: Reason): void {
    const isShared = this.subscription.mode === 'shared'
    const { attempt, memo } = dispatched
    const position = isShared ? dispatched.position : 0
    const fencingToken = isShared ? 0 : (this.shardTokens.get(this.#shardOf(event)) ?? 0)
    const delivery = new SqliteDelivery(this, event, { attempt, since, position, fencingToken, memo })
    if (problem !== undefined) this.#discardMalformed(delivery, problem)
    else if (isShared && this.window.isPaused) this.#giveBack(position)
    else this.window.admit(delivery)
  }

  remove(eventId: string): void {
    const delivery = this.window.inFlight.get(eventId)
    if (delivery) this.window.remove(delivery)
  }

  loseShard(shard: number): void {
    this.shardTokens.delete(shard)
    this.window.forget(({ event }) => this.#shardOf(event) === shard)
    this.subscription.onLost?.(shard)
  }

  loseAllShards(): void {
    this.#isCaughtUp = false
    for (const shard of this.shardTokens.keys()) this.loseShard(shard)
  }

  setCaughtUp(isCaughtUp: boolean): void {
    this.#isCaughtUp = isCaughtUp
  }

  /** A malformed event goes to the attention list and is not delivered another time. */
  #discardMalformed(delivery: SqliteDelivery, reason: Reason): void {
    this.window.hold(delivery)
    delivery.settle({ kind: 'discard', reason }).catch(ignore)
  }

  #giveBack(position: number): void {
    this.context.submitter.submit({ kind: 'giveBack', consumer: this.number, position }).catch(ignore)
  }

  #shardOf(event: CloudEvent): number {
    return shardOf(event.correlationid, this.context.shards)
  }
}

interface DeliveryDetails extends Pick<Settlement, 'position' | 'fencingToken'> {
  readonly attempt: number
  readonly since: number
  readonly memo?: string | null
}

export class SqliteDelivery implements Delivery {
  readonly event: CloudEvent
  readonly attempt: number
  readonly since: number
  readonly memo: string | undefined
  readonly #position: number
  readonly #fencingToken: number
  readonly #consumer: SqliteConsumer

  constructor(consumer: SqliteConsumer, event: CloudEvent, details: DeliveryDetails) {
    this.#consumer = consumer
    this.event = event
    this.attempt = details.attempt
    this.since = details.since
    this.memo = details.memo ?? undefined
    this.#position = details.position
    this.#fencingToken = details.fencingToken
  }

  get group(): string {
    return this.#consumer.group
  }

  settlement(outcome: DeliveryOutcome): Settlement {
    const { number: consumer } = this.#consumer
    return { consumer, eventId: this.event.id, position: this.#position, fencingToken: this.#fencingToken, outcome }
  }

  async settle(outcome: DeliveryOutcome, events: readonly EncodedEvent[] = []): Promise<void> {
    const { window, context, subscription } = this.#consumer
    const isInFlight = window.remove(this)
    if (!isInFlight && events.length === 0) return
    try {
      await context.settle(isInFlight ? this.settlement(outcome) : undefined, events)
    } catch (error) {
      if (isInFlight && subscription.mode === 'shared') window.hold(this)
      throw error
    }
  }
}

const ignore = () => undefined
