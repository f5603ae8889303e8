import { maxPartitions } from '../../bus/cursor.ts'
import type { Consumer, Subscription } from '../../bus/driver.ts'
import { readDelivery } from '../../bus/malformed.ts'
import type { Reason } from '../../bus/reason.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { DeliveryWindow } from '../shared/delivery-window.ts'
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
  readonly #window: DeliveryWindow<number, NatsDelivery>
  readonly #maxInFlight: () => number
  readonly #onRoom: () => void
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
    this.#window = new DeliveryWindow(subscription, ({ pulled }) => keyOf(pulled), this.#maxInFlight)
  }

  get group(): string {
    return this.#subscription.group
  }

  get isPaused(): boolean {
    return this.#window.isPaused
  }

  /** How many deliveries the subscription can take now. */
  get room(): number {
    return this.#window.room
  }

  get inFlight(): number {
    return this.#window.inFlight.size
  }

  /** Those that wait for room, the oldest first. */
  get waiting(): readonly NatsDelivery[] {
    return this.#window.waiting
  }

  /** How many of a shard wait for room. */
  countWaiting(shard: number): number {
    let count = 0
    for (const delivery of this.waiting) if (delivery.shard === shard) count++
    return count
  }

  receive(pulled: PulledMessage): void {
    const inFlight = this.#window.inFlight.get(keyOf(pulled))
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
    return this.#window.has(delivery)
  }

  /** Waits until earlier acknowledgements are applied: one request for each consumer, after its acknowledgements. */
  async flush(): Promise<void> {
    const last = [...this.#newestReplies.values()]
    this.#newestReplies.clear()
    await Promise.all(last.map(reply => this.context.connection.request(reply, '+ACK').catch(() => {})))
  }

  remove(delivery: NatsDelivery): boolean {
    if (!this.#window.remove(delivery)) return false
    this.#newestReplies.set(delivery.pulled.consumer, delivery.pulled.reply)
    this.#onRoom()
    return true
  }

  /** The maximum has changed. */
  resized(): void {
    if (this.#maxInFlight() === 0) this.giveBackWaiting(this.waiting)
    this.#window.dispatch()
  }

  giveBackWaiting(deliveries: readonly NatsDelivery[]): void {
    for (const delivery of deliveries) delivery.giveBack()
    this.#window.forget(delivery => deliveries.includes(delivery))
  }

  pause(): void {
    this.#window.isPaused = true
    this.giveBackWaiting(this.waiting)
  }

  /** Gives everything back, or that of one shard. */
  giveBack(shard?: number): void {
    for (const delivery of this.#all()) if (shard === undefined || delivery.shard === shard) delivery.giveBack()
    this.forget(shard)
  }

  /** Another member has these deliveries now, or will receive them. */
  forget(shard?: number): void {
    this.#window.forget(delivery => shard === undefined || delivery.shard === shard)
  }

  /** Extends the acknowledgement time of unfinished deliveries. */
  extendAckTimes(now: number): void {
    for (const delivery of this.#all())
      if (now - delivery.ackExtendedAt >= this.#ackWaitMs / 3) delivery.extendAckTime(now)
  }

  /** A message that is not an event goes to the dead letters, because it would be redelivered forever. */
  async #discardMalformed(delivery: NatsDelivery, problem: Reason): Promise<void> {
    this.#window.hold(delivery)
    await delivery.conclude({ kind: 'discard', reason: problem }).catch(() => {})
  }

  #admit(delivery: NatsDelivery): void {
    if (this.isPaused || this.#maxInFlight() === 0) delivery.giveBack()
    else this.#window.admit(delivery)
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

  #all(): NatsDelivery[] {
    return [...this.#window.inFlight.values(), ...this.waiting]
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
