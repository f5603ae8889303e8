import type { Delivery, EncodedEvent, DeliveryOutcome, Position } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import { deferralOf } from '../shared/deferral.ts'
import { redeliveryHeaders, type DeferredDeliveries } from './deferred-deliveries.ts'
import type { LogConnection } from './connection.ts'
import type { Names } from './names.ts'
import type { EventPublisher } from './publisher.ts'
import type { PulledMessage } from './pull-consumer.ts'
import type { RecentEvents } from './recent-events.ts'

/** The parts of the driver that deliveries use. */
export interface NatsDeliveryContext {
  readonly connection: LogConnection
  readonly names: Names
  readonly deferred: DeferredDeliveries
  readonly publisher: EventPublisher
  readonly recent: RecentEvents
}

/** The consumer that a delivery came from. */
export interface DeliveryOwner {
  readonly group: string
  readonly context: NatsDeliveryContext
  has(delivery: NatsDelivery): boolean
  /** False if it is not in flight any more. */
  remove(delivery: NatsDelivery): boolean
}

/** A delivery in flight, with the subject of its acknowledgement. */
export class NatsDelivery implements Delivery {
  readonly event: CloudEvent
  readonly attempt: number
  readonly since: number
  readonly memo: string | undefined
  readonly shard: number
  pulled: PulledMessage
  /** By the monotonic clock, as all times here. */
  readonly receivedAt = performance.now()
  /** When its acknowledgement time was last extended. */
  ackExtendedAt = this.receivedAt
  readonly position: Position
  readonly #owner: DeliveryOwner

  constructor(owner: DeliveryOwner, pulled: PulledMessage, event: CloudEvent) {
    this.#owner = owner
    this.pulled = pulled
    this.event = event
    this.since = pulled.at
    this.shard = owner.context.names.shardOf(event.correlationid)
    const headers = pulled.subject.startsWith(`${owner.context.names.log}.r.`) ? pulled.message.headers : undefined
    this.attempt = Number(headers?.get(redeliveryHeaders.attempt) || 1) + pulled.delivered - 1
    this.memo = headers?.get(redeliveryHeaders.memo) || undefined
    const offset = Number(headers?.get(redeliveryHeaders.position)) || pulled.seq
    this.position = { partition: pulled.consumer.partition, offset }
  }

  get group(): string {
    return this.#owner.group
  }

  async settle(outcome: DeliveryOutcome, events: readonly EncodedEvent[] = []): Promise<void> {
    // Events first, so that a reader who sees the settlement also sees them. After a crash in between, the delivery is redelivered.
    if (events.length > 0) await this.#owner.context.publisher.publish(events)
    await this.conclude(outcome)
  }

  /** The settlement alone. */
  async conclude(outcome: DeliveryOutcome): Promise<void> {
    if (!this.#owner.has(this)) return
    // Until this is stored, the delivery stays in flight and no other process gets it.
    if (outcome.kind !== 'done') await this.#defer(outcome)
    if (this.#owner.remove(this)) this.acknowledge()
  }

  acknowledge(): void {
    this.#owner.context.connection.writeBuffer.sendLazily(this.pulled.reply, '+ACK')
  }

  /** The server redelivered it while it is in flight: only the newest acknowledgement counts. */
  renew(pulled: PulledMessage): void {
    this.pulled = pulled
    this.ackExtendedAt = performance.now()
  }

  /** Returns it to the server, which redelivers it at once. */
  giveBack(): void {
    this.#reply('-NAK')
  }

  extendAckTime(now: number): void {
    this.ackExtendedAt = now
    this.#reply('+WPI')
  }

  #reply(word: string): void {
    const { connection } = this.#owner.context
    if (connection.isConnected) connection.writeBuffer.send(this.pulled.reply, word)
  }

  async #defer(outcome: Exclude<DeliveryOutcome, { kind: 'done' }>): Promise<void> {
    const { deferred } = this.#owner.context
    const { group, shard, position, attempt: attempts, event } = this
    const { state, delayMs, ...rest } = deferralOf(outcome)
    const document = { group, shard, position, attempts, event, ...rest }
    if (delayMs === undefined) await deferred.put(state, document)
    else await deferred.delay(document, delayMs)
  }
}
