import { maxPartitions } from '../../bus/cursor.ts'
import type { Consumer, Subscription } from '../../bus/driver.ts'
import { readDelivery } from '../../bus/malformed.ts'
import type { Reason } from '../../bus/reason.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { NatsDelivery, type DeliveryOwner, type NatsDeliveryContext } from './nats-delivery.ts'
import type { PullConsumer, PulledMessage } from './pull-consumer.ts'

interface InFlightWindowOptions {
  readonly context: NatsDeliveryContext
  readonly subscription: Subscription
  readonly ackWaitMs: number
  readonly readGroupFilter: () => Promise<Filter>
  readonly onRoom: () => void
  /** Default: that of the subscription. After it has changed, call `resized()`. */
  readonly maxInFlight?: () => number
}

/**
 * The deliveries that one subscription is working on, at most as many as its window, and those that wait for room. It extends
 * their acknowledgement time on the server, so that no other member receives them.
 */
export class InFlightWindow implements DeliveryOwner {
  readonly context: NatsDeliveryContext
  readonly #subscription: Subscription
  readonly #ackWaitMs: number
  readonly #readGroupFilter: () => Promise<Filter>
  #matches
  #unmatched: NatsDelivery[] = []
  /** By partition and sequence. */
  readonly #inFlight = new Map<number, NatsDelivery>()
  #waiting: NatsDelivery[] = []
  readonly #onRoom: () => void
  readonly #maxInFlight: () => number
  #paused = false
  /** Where the newest acknowledgement of each consumer went. */
  readonly #newestReplies = new Map<PullConsumer, string>()

  constructor({ context, subscription, ackWaitMs, readGroupFilter, onRoom, maxInFlight }: InFlightWindowOptions) {
    this.context = context
    this.#subscription = subscription
    this.#ackWaitMs = ackWaitMs
    this.#readGroupFilter = readGroupFilter
    this.#matches = compileFilter(subscription.filter)
    this.#onRoom = onRoom
    this.#maxInFlight = maxInFlight ?? (() => subscription.maxInFlight)
  }

  get group(): string {
    return this.#subscription.group
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** How many deliveries the subscription can take now. */
  get room(): number {
    return this.#paused ? 0 : this.#maxInFlight() - this.#inFlight.size - this.#waiting.length
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Those that wait for room, the oldest first. */
  get waiting(): readonly NatsDelivery[] {
    return this.#waiting
  }

  /** How many of a shard wait for room. */
  countWaiting(shard: number): number {
    let count = 0
    for (const delivery of this.#waiting) if (delivery.shard === shard) count++
    return count
  }

  receive(pulled: PulledMessage): void {
    const inFlight = this.#inFlight.get(keyOf(pulled))
    // A recreated log uses the same sequences for other messages.
    if (inFlight?.pulled.at === pulled.at) return inFlight.renew(pulled)
    const text = pulled.message.string()
    const { event, problem } = readDelivery(text, () => ({ at: { subject: pulled.subject } }))
    const delivery = new NatsDelivery(this, pulled, event)
    if (problem) return void this.#discardMalformed(delivery, problem)
    this.context.recent.add(delivery.position, event.id, text)
    if (this.#matches(delivery.event)) return this.#admit(delivery)
    this.#unmatched.push(delivery)
    if (this.#unmatched.length === 1) void this.#recheckUnmatched()
  }

  has(delivery: NatsDelivery): boolean {
    return this.#inFlight.get(keyOf(delivery.pulled)) === delivery
  }

  /** Waits until earlier acknowledgements are applied: one request for each consumer, after its acknowledgements. */
  async flush(): Promise<void> {
    const last = [...this.#newestReplies.values()]
    this.#newestReplies.clear()
    await Promise.all(last.map(reply => this.context.connection.request(reply, '+ACK').catch(() => {})))
  }

  remove(delivery: NatsDelivery): boolean {
    if (!this.has(delivery)) return false
    this.#inFlight.delete(keyOf(delivery.pulled))
    this.#newestReplies.set(delivery.pulled.consumer, delivery.pulled.reply)
    this.#dispatchWaiting()
    this.#onRoom()
    return true
  }

  /** The maximum has changed. */
  resized(): void {
    if (this.#maxInFlight() === 0) this.giveBackWaiting(this.#waiting)
    this.#dispatchWaiting()
  }

  giveBackWaiting(deliveries: readonly NatsDelivery[]): void {
    for (const delivery of deliveries) delivery.giveBack()
    this.#waiting = this.#waiting.filter(delivery => !deliveries.includes(delivery))
  }

  #dispatchWaiting(): void {
    while (this.#waiting.length > 0 && !this.#paused && this.#inFlight.size < this.#maxInFlight())
      this.#dispatch(this.#waiting.shift()!)
  }

  pause(): void {
    this.#paused = true
    for (const delivery of this.#waiting.splice(0)) delivery.giveBack()
  }

  /** Gives everything back, or that of one shard. */
  giveBack(shard?: number): void {
    const isMeant = (delivery: NatsDelivery) => shard === undefined || delivery.shard === shard
    for (const delivery of [...this.#inFlight.values(), ...this.#waiting]) if (isMeant(delivery)) delivery.giveBack()
    this.forget(shard)
  }

  /** Another member has these deliveries now, or will receive them. */
  forget(shard?: number): void {
    const isKept = (delivery: NatsDelivery) => shard !== undefined && delivery.shard !== shard
    for (const [key, delivery] of this.#inFlight) if (!isKept(delivery)) this.#inFlight.delete(key)
    this.#waiting = this.#waiting.filter(isKept)
  }

  /** Extends the acknowledgement time of unfinished deliveries. */
  extendAckTimes(now: number): void {
    for (const delivery of [...this.#inFlight.values(), ...this.#waiting])
      if (now - delivery.ackExtendedAt >= this.#ackWaitMs / 3) delivery.extendAckTime(now)
  }

  /** A message that is not an event goes to the dead letters, because it would be redelivered forever. */
  async #discardMalformed(delivery: NatsDelivery, problem: Reason): Promise<void> {
    this.#inFlight.set(keyOf(delivery.pulled), delivery)
    await delivery.conclude({ kind: 'discard', reason: problem }).catch(() => {})
  }

  #admit(delivery: NatsDelivery): void {
    const max = this.#maxInFlight()
    if (this.#paused || max === 0) delivery.giveBack()
    else if (this.#inFlight.size >= max) this.#waiting.push(delivery)
    else this.#dispatch(delivery)
  }

  /**
   * The server may send more than the filter. But a member that has just joined may have widened the filter, and acknowledging
   * its events would lose them. So the group's document, read after they came, decides.
   */
  async #recheckUnmatched(): Promise<void> {
    while (this.#unmatched.length > 0) {
      const count = this.#unmatched.length
      try {
        this.#matches = compileFilter([...(await this.#readGroupFilter()), ...this.#subscription.filter])
      } catch {
        // The log is unavailable; the server redelivers them.
        this.#unmatched = []
        return
      }
      for (const delivery of this.#unmatched.splice(0, count)) {
        if (this.#matches(delivery.event)) this.#admit(delivery)
        else delivery.acknowledge()
      }
    }
  }

  #dispatch(delivery: NatsDelivery): void {
    this.#inFlight.set(keyOf(delivery.pulled), delivery)
    this.#subscription.onDelivery(delivery)
  }
}

const keyOf = ({ consumer, seq }: PulledMessage) => seq * maxPartitions + consumer.partition

/** A subscription of this process. */
export interface GroupMember extends Consumer {
  readonly window: InFlightWindow
  /** Called several times within the time that the server waits for an acknowledgement; `now` is of the monotonic clock. */
  onHeartbeat(now: number): Promise<void>
  reconnected(): void
  /** The server lost its data: recreates everything. */
  recreate(): Promise<void>
}
