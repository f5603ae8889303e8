import type { Delivery, DeliveryOutcome, EncodedEvent } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import type { PartitionFeed } from './partition-feed.ts'

/** What a delivery is made of. */
export interface DeliveryContent {
  readonly feed: PartitionFeed
  readonly offset: number
  readonly event: CloudEvent
  readonly json: string
  readonly attempt: number
  readonly since: number
  readonly memo?: string | undefined
  /** It comes from a deferred entry, and not from the log. */
  readonly isRedelivery: boolean
}

/** Ends deliveries as their group does it. */
export type SettleDelivery = (
  delivery: KafkaDelivery,
  outcome: DeliveryOutcome,
  events: readonly EncodedEvent[],
) => Promise<void>

/** A delivery in flight. */
export class KafkaDelivery implements Delivery {
  readonly group: string
  readonly event: CloudEvent
  readonly attempt: number
  readonly since: number
  readonly memo: string | undefined
  readonly feed: PartitionFeed
  readonly offset: number
  /** A deferred entry stands for it, and not its place on the log. */
  isRedelivery: boolean
  /** The event as it is stored. */
  readonly json: string
  readonly #settle: SettleDelivery

  constructor(group: string, source: DeliveryContent, settle: SettleDelivery) {
    this.group = group
    this.event = source.event
    this.attempt = source.attempt
    this.since = source.since
    this.memo = source.memo
    this.feed = source.feed
    this.offset = source.offset
    this.isRedelivery = source.isRedelivery
    this.json = source.json
    this.#settle = settle
  }

  settle(outcome: DeliveryOutcome, events: readonly EncodedEvent[] = []): Promise<void> {
    return this.#settle(this, outcome, events)
  }
}
