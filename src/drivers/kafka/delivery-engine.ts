import { maxTimerMs } from '../../bus/clock.ts'
import type { Subscription } from '../../bus/driver.ts'
import { compileFilter } from '../../pattern.ts'
import { DeliveryWindow } from '../shared/delivery-window.ts'
import { deferredPrefix } from './deferred-entries.ts'
import type { LogChange } from './follower.ts'
import type { GroupDefinitions } from './group-definitions.ts'
import { KafkaDelivery, type SettleDelivery } from './kafka-delivery.ts'
import type { KafkaLog } from './kafka-log.ts'
import { PartitionFeed } from './partition-feed.ts'
import type { StoredSettlement } from './settlement.ts'

interface EngineOptions {
  readonly log: KafkaLog
  readonly definitions: GroupDefinitions
  readonly subscription: Subscription
  readonly settle: SettleDelivery
  /** The member works on a delivery of this feed that it did not work on before. */
  readonly onHandOut: (feed: PartitionFeed) => void
  /** False if the partitions may have other owners. */
  readonly isValid: () => boolean
  readonly maxInFlight?: () => number
}

/** Hands out what the partitions of a member have to deliver, in turn, as far as there is room. */
export class DeliveryEngine {
  readonly window: DeliveryWindow<KafkaDelivery, KafkaDelivery>
  readonly feeds = new Map<number, PartitionFeed>()
  readonly #options: EngineOptions
  readonly #group: string
  readonly #stopListening: () => void
  #matches: ReturnType<typeof compileFilter>
  readonly #stopped = new Set<PartitionFeed>()
  /** The filter of the group may be changing. */
  #isFrozen = false
  #isScheduled = false
  #isClosed = false
  #timer: NodeJS.Timeout | undefined
  #ended: PromiseWithResolvers<void> | undefined

  constructor(options: EngineOptions) {
    const { log, definitions, subscription, maxInFlight } = options
    this.#options = options
    this.#group = subscription.group
    this.window = new DeliveryWindow(subscription, delivery => delivery, maxInFlight)
    this.#matches = compileFilter(definitions.filterOf(this.#group))
    this.#stopListening = log.follower.onChange(change => this.#changed(change))
  }

  add(partition: number, stored: StoredSettlement): PartitionFeed {
    const { log } = this.#options
    const matches: ReturnType<typeof compileFilter> = event => this.#matches(event)
    const feed = new PartitionFeed({ log, group: this.#group, partition, stored, matches })
    this.feeds.set(partition, feed)
    this.schedule()
    return feed
  }

  /** Other members receive its deliveries. */
  remove(feed: PartitionFeed): void {
    feed.isClosed = true
    this.#stopped.delete(feed)
    if (this.feeds.get(feed.partition) === feed) this.feeds.delete(feed.partition)
    this.window.forget(delivery => delivery.feed === feed)
    this.#reportEnd()
  }

  /** Hands out nothing more of these feeds. */
  stop(feeds: readonly PartitionFeed[]): void {
    for (const feed of feeds) this.#stopped.add(feed)
    this.window.forget(delivery => feeds.includes(delivery.feed) && !this.window.has(delivery))
  }

  /** Resolves when enough deliveries have ended. */
  async until(isReached: () => boolean): Promise<void> {
    while (!this.#isClosed && !isReached()) {
      this.#ended ??= Promise.withResolvers()
      await this.#ended.promise
    }
  }

  /** The deliveries of feeds that the member works on. */
  inFlightOf(feeds: readonly PartitionFeed[]): KafkaDelivery[] {
    return [...this.window.inFlight.values()].filter(({ feed }) => feeds.includes(feed))
  }

  /** How many deliveries of its partitions earlier owners work on. */
  get countHeld(): number {
    let count = 0
    for (const feed of this.feeds.values()) count += feed.countHeld
    return count
  }

  /** Nothing new is looked at until the filter was read again. */
  freeze(): void {
    this.#isFrozen = true
  }

  thaw(): void {
    this.#matches = compileFilter(this.#options.definitions.filterOf(this.#group))
    this.#isFrozen = false
    this.schedule()
  }

  has(delivery: KafkaDelivery): boolean {
    return this.window.has(delivery)
  }

  /** The delivery has ended, which makes room for another one. */
  release(delivery: KafkaDelivery): void {
    if (!this.window.remove(delivery)) return
    this.#reportEnd()
    this.schedule()
  }

  pause(): void {
    this.window.isPaused = true
  }

  close(): void {
    this.#isClosed = true
    this.#stopListening()
    clearTimeout(this.#timer)
    for (const feed of this.feeds.values()) this.remove(feed)
    this.#reportEnd()
  }

  /** Hands out soon, once for many changes. */
  schedule(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#handOut()
    })
  }

  #reportEnd(): void {
    this.#ended?.resolve()
    this.#ended = undefined
  }

  #handOut(): void {
    if (this.#isClosed || this.#isFrozen || !this.#options.isValid()) return
    let isBehind = false
    let isFound = true
    while (isFound && this.window.room > 0) {
      isFound = false
      for (const feed of this.feeds.values()) {
        if (this.window.room <= 0) break
        if (this.#stopped.has(feed)) continue
        const next = feed.next()
        isBehind ||= feed.isBehind
        if (!next) continue
        isFound = true
        this.#admit(feed, next)
      }
    }
    // The next time begins with another partition.
    const [first] = this.feeds
    if (first && this.feeds.size > 1) {
      this.feeds.delete(first[0])
      this.feeds.set(...first)
    }
    if (isBehind) this.schedule()
    this.#arm()
  }

  #admit(feed: PartitionFeed, { source, problem }: NonNullable<ReturnType<PartitionFeed['next']>>): void {
    const delivery = new KafkaDelivery(this.#group, source, this.#options.settle)
    if (problem) {
      // A record that is not an event goes to the dead letters, because it would be delivered for ever.
      this.window.hold(delivery)
      void delivery.settle({ kind: 'discard', reason: problem }).catch(() => {})
      return
    }
    if (!source.isRedelivery) feed.settlement.handOut(source.offset)
    this.window.admit(delivery)
    this.#options.onHandOut(feed)
  }

  /** Hands out when the next deferred delivery is due. */
  #arm(): void {
    clearTimeout(this.#timer)
    let next = Infinity
    for (const feed of this.feeds.values()) next = Math.min(next, feed.nextDueAt)
    if (next === Infinity || this.window.room <= 0) return
    const waitMs = Math.min(Math.max(1, Math.ceil(next - performance.now())), maxTimerMs)
    this.#timer = setTimeout(() => this.schedule(), waitMs)
  }

  #changed({ events, state }: LogChange): void {
    let isConcerned = events.some(partition => this.feeds.has(partition))
    for (const { key, partition, value } of state) {
      const feed = this.feeds.get(partition)
      if (feed && key.startsWith(deferredPrefix(this.#group, partition))) {
        feed.deferredChanged(key, value)
        isConcerned = true
      }
      if (!this.#isFrozen && this.#options.definitions.isFilterOf(this.#group, key)) this.thaw()
    }
    if (isConcerned) this.schedule()
  }
}
