import type { Delivery, Subscription } from '../../bus/driver.ts'

/**
 * The deliveries that a subscription works on, at most as many as its window, and those that wait for room. `maxInFlight`: by
 * default that of the subscription; call `dispatch` after it has grown.
 */
export class DeliveryWindow<K, D extends Delivery> {
  readonly inFlight = new Map<K, D>()
  /** Nothing more is handed out. */
  isPaused = false
  #waiting: D[] = []
  readonly subscription: Subscription
  readonly #keyOf: (delivery: D) => K
  readonly #maxInFlight: () => number

  constructor(
    subscription: Subscription,
    keyOf: (delivery: D) => K,
    maxInFlight: () => number = () => subscription.maxInFlight,
  ) {
    this.subscription = subscription
    this.#keyOf = keyOf
    this.#maxInFlight = maxInFlight
  }

  get waiting(): readonly D[] {
    return this.#waiting
  }

  /** How many deliveries the subscription can take now. */
  get room(): number {
    return this.isPaused ? 0 : this.#maxInFlight() - this.inFlight.size - this.#waiting.length
  }

  has(delivery: D): boolean {
    return this.inFlight.get(this.#keyOf(delivery)) === delivery
  }

  /** Hands a delivery to the subscription as soon as there is room. */
  admit(delivery: D): void {
    this.#waiting.push(delivery)
    this.dispatch()
  }

  /** Counts a delivery that the subscription does not get from here. */
  hold(delivery: D): void {
    this.inFlight.set(this.#keyOf(delivery), delivery)
  }

  /** Ends a delivery, which makes room for another one. False if it is not in flight. */
  remove(delivery: D): boolean {
    if (!this.has(delivery)) return false
    this.inFlight.delete(this.#keyOf(delivery))
    this.dispatch()
    return true
  }

  /** Other members receive these deliveries. */
  forget(isMeant: (delivery: D) => boolean): void {
    for (const [key, delivery] of this.inFlight) if (isMeant(delivery)) this.inFlight.delete(key)
    this.#waiting = this.#waiting.filter(delivery => !isMeant(delivery))
    this.dispatch()
  }

  /** Hands out what waits, as far as there is room. */
  dispatch(): void {
    while (this.#waiting.length > 0 && !this.isPaused && this.inFlight.size < this.#maxInFlight()) {
      const delivery = this.#waiting.shift()!
      this.hold(delivery)
      this.subscription.onDelivery(delivery)
    }
  }
}
