import type { Delivery, EncodedEvent, DeliveryOutcome } from '../../bus/driver.ts'
import type { CloudEvent } from '../../event.ts'
import { deferralOf } from '../shared/deferral.ts'
import { againHeaders, type Aside } from './aside.ts'
import type { Link } from './link.ts'
import type { Names } from './names.ts'
import type { Publisher } from './publisher.ts'
import type { Pulled } from './puller.ts'
import type { Recent } from './recent.ts'

/** What a delivery needs of its driver. */
export interface Ties {
  readonly link: Link
  readonly names: Names
  readonly aside: Aside
  readonly publisher: Publisher
  readonly recent: Recent
}

/** The consumer that a delivery came from. */
export interface Hand {
  readonly group: string
  readonly ties: Ties
  holds(handed: Handed): boolean
  /** Takes it out of the hand; false when it is not there any more. */
  drop(handed: Handed): boolean
}

/** A delivery in hand. Its acknowledgement travels with it. */
export class Handed implements Delivery {
  readonly event: CloudEvent
  readonly attempt: number
  readonly since: number
  readonly memo: string | undefined
  readonly shard: number
  pulled: Pulled
  /** When the server last heard that it is being worked on, by the monotonic clock. */
  beatAt = performance.now()
  readonly position: number
  readonly #hand: Hand

  constructor(hand: Hand, pulled: Pulled, event: CloudEvent) {
    this.#hand = hand
    this.pulled = pulled
    this.event = event
    this.since = pulled.at
    this.shard = hand.ties.names.shardOf(event.correlationid)
    const headers = pulled.subject.startsWith(`${hand.ties.names.log}.r.`) ? pulled.message.headers : undefined
    this.attempt = Number(headers?.get(againHeaders.attempt) || 1) + pulled.delivered - 1
    this.memo = headers?.get(againHeaders.memo) || undefined
    this.position = Number(headers?.get(againHeaders.position)) || pulled.seq
  }

  get group(): string {
    return this.#hand.group
  }

  async settle(outcome: DeliveryOutcome, events: readonly EncodedEvent[] = []): Promise<void> {
    // Events first: whoever sees the settlement sees what it says. A crash in between hands the delivery out again.
    if (events.length > 0) await this.#hand.ties.publisher.publish(events)
    await this.conclude(outcome)
  }

  /** The settlement alone. */
  async conclude(outcome: DeliveryOutcome): Promise<void> {
    if (!this.#hand.holds(this)) return
    // While that cannot be written, it stays in hand: nobody else gets it, and it is set aside later.
    if (outcome.kind !== 'done') await this.#setAside(outcome)
    if (this.#hand.drop(this)) this.acknowledge()
  }

  acknowledge(): void {
    this.#hand.ties.link.outbox.mention(this.pulled.reply, '+ACK')
  }

  /** The server handed it out once more while it is in hand: the newest acknowledgement is the one that counts. */
  renew(pulled: Pulled): void {
    this.pulled = pulled
    this.beatAt = performance.now()
  }

  /** Hands it back at once. */
  giveBack(): void {
    this.#say('-NAK')
  }

  /** Tells the server that it is still being worked on. */
  beat(now: number): void {
    this.beatAt = now
    this.#say('+WPI')
  }

  #say(word: string): void {
    const { link } = this.#hand.ties
    if (link.isConnected) link.outbox.send(this.pulled.reply, word)
  }

  async #setAside(outcome: Exclude<DeliveryOutcome, { kind: 'done' }>): Promise<void> {
    const { aside } = this.#hand.ties
    const { group, shard, position, attempt: attempts, event } = this
    const { state, delayMs, ...rest } = deferralOf(outcome)
    const kept = { group, shard, position, attempts, event, ...rest }
    if (delayMs === undefined) await aside.put(state, kept)
    else await aside.delay(kept, delayMs)
  }
}
