import type { Consumer, Delivery, EncodedEvent, DeliveryOutcome, Subscription } from '../../bus/driver.ts'
import { shardOf } from '../../bus/ids.ts'
import type { Reason } from '../../bus/reason.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter } from '../../pattern.ts'
import type { Writes } from './line.ts'
import type { Handout, Settlement } from './protocol.ts'

/** What a consumer needs of the driver. */
export interface Ties {
  readonly line: Writes
  readonly shards: number
  settle(settlement: Settlement | undefined, events: readonly EncodedEvent[]): Promise<void>
  closed(): void
}

/** One subscription: what it has in hand, which shards it owns, whether events may be handed to it early. */
export class LocalConsumer implements Consumer {
  readonly number: number
  readonly subscription: Subscription
  readonly matches
  readonly held = new Map<string, Handed>()
  /** Shards and the tickets by which they were won. */
  readonly owned = new Map<number, number>()
  readonly ties: Ties
  /** Came from the writer while early hand-overs had filled the window; never more than the window. */
  #waiting: Handed[] = []
  #caughtUp = false
  #paused = false

  constructor(number: number, subscription: Subscription, ties: Ties) {
    this.number = number
    this.subscription = subscription
    this.ties = ties
    this.matches = compileFilter(subscription.filter)
  }

  get group(): string {
    return this.subscription.group
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.ties.line.submit(['pause', this.number]).catch(ignore)
  }

  /** When the log cannot be written, the writer frees what this consumer had as soon as it can be again. */
  async close(): Promise<void> {
    this.#paused = true
    this.held.clear()
    this.#waiting = []
    this.ties.closed()
    await this.ties.line.submit(['unsubscribe', this.number]).catch(ignore)
  }

  hasRoom(event: CloudEvent): boolean {
    return (
      this.#caughtUp &&
      !this.#paused &&
      this.#waiting.length === 0 &&
      this.held.size < this.subscription.inFlight &&
      this.owned.has(this.#shardOf(event))
    )
  }

  /** Returns the ticket of its shard. */
  takeEarly(event: CloudEvent): number {
    const ticket = this.owned.get(this.#shardOf(event))!
    const delivery = new Handed(this, event, 1, Date.now(), ticket)
    this.held.set(event.id, delivery)
    queueMicrotask(() => {
      if (this.held.get(event.id) === delivery) this.subscription.onDelivery(delivery)
    })
    return ticket
  }

  /** `problem`: why what the log holds is no event; `event` stands for it then. */
  take([, attempt, , position, , , memo]: Handout, event: CloudEvent, since: number, problem?: Reason): void {
    const isShared = this.subscription.mode === 'shared'
    const handle = isShared ? position : (this.owned.get(this.#shardOf(event)) ?? 0)
    const delivery = new Handed(this, event, attempt, since, handle, memo ?? undefined)
    if (problem !== undefined) this.#refuse(delivery, problem)
    else if (isShared) {
      if (this.#paused) this.ties.line.submit(['giveBack', this.number, position]).catch(ignore)
      else this.#give(delivery)
    } else if (this.#paused || this.held.size >= this.subscription.inFlight) this.#waiting.push(delivery)
    else this.#give(delivery)
  }

  /** What is no event is for a person to look at, and must not come again. */
  #refuse(delivery: Handed, reason: Reason): void {
    this.held.set(delivery.event.id, delivery)
    delivery.settle({ kind: 'discard', reason }).catch(ignore)
  }

  /** A delivery left the hand. */
  done(id: string): void {
    this.held.delete(id)
    this.#giveWaiting()
  }

  lose(shard: number): void {
    this.owned.delete(shard)
    for (const [id, delivery] of this.held) if (this.#shardOf(delivery.event) === shard) this.held.delete(id)
    this.#waiting = this.#waiting.filter(({ event }) => this.#shardOf(event) !== shard)
    this.subscription.onLost?.(shard)
    this.#giveWaiting()
  }

  loseAll(): void {
    this.#caughtUp = false
    for (const shard of this.owned.keys()) this.lose(shard)
  }

  setCaughtUp(is: boolean): void {
    this.#caughtUp = is
  }

  #giveWaiting(): void {
    while (this.#waiting.length && !this.#paused && this.held.size < this.subscription.inFlight)
      this.#give(this.#waiting.shift()!)
  }

  #give(delivery: Handed): void {
    this.held.set(delivery.event.id, delivery)
    this.subscription.onDelivery(delivery)
  }

  #shardOf(event: CloudEvent): number {
    return shardOf(event.correlationid, this.ties.shards)
  }
}

export class Handed implements Delivery {
  readonly event: CloudEvent
  readonly attempt: number
  readonly since: number
  readonly memo: string | undefined
  /** What the writer knows it by: position (shared), or ticket of the shard (sharded). */
  readonly handle: number
  readonly #consumer: LocalConsumer

  constructor(
    consumer: LocalConsumer,
    event: CloudEvent,
    attempt: number,
    since: number,
    handle: number,
    memo?: string,
  ) {
    this.#consumer = consumer
    this.event = event
    this.attempt = attempt
    this.since = since
    this.handle = handle
    this.memo = memo
  }

  get group(): string {
    return this.#consumer.group
  }

  settlement(outcome: DeliveryOutcome): Settlement {
    const after = outcome.kind === 'retry' ? outcome.after : 0
    const reason = outcome.kind === 'done' ? '' : JSON.stringify(outcome.reason)
    const key = outcome.kind === 'park' ? (outcome.key ?? null) : null
    const memo = outcome.kind === 'retry' ? (outcome.memo ?? null) : null
    return [this.#consumer.number, this.event.id, this.handle, outcome.kind, after, reason, key, memo]
  }

  async settle(outcome: DeliveryOutcome, events: readonly EncodedEvent[] = []): Promise<void> {
    const { event } = this
    const consumer = this.#consumer
    const isHeld = consumer.held.get(event.id) === this
    if (!isHeld && events.length === 0) return
    if (isHeld) consumer.done(event.id)
    try {
      await consumer.ties.settle(isHeld ? this.settlement(outcome) : undefined, events)
    } catch (error) {
      if (isHeld && consumer.subscription.mode === 'shared') consumer.held.set(event.id, this)
      throw error
    }
  }
}

const ignore = () => undefined
