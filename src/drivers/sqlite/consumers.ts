import type { Consumer, EncodedEvent, Position, Subscription } from '../../bus/driver.ts'
import { readDelivery, type DeliverySource } from '../../bus/malformed.ts'
import type { CloudEvent } from '../../event.ts'
import { copyOf } from '../../json.ts'
import type { Pending, Writes } from './line.ts'
import { LocalConsumer } from './local.ts'
import type { Reply, Rows, Settlement } from './protocol.ts'

/** What the subscriptions ask of the log. */
interface Known {
  has(id: string): boolean
  whereabouts(position: Position): DeliverySource
}

/** The subscriptions of this process, as the main thread sees them. */
export class Consumers {
  readonly #line: Writes
  readonly #shards: number
  readonly #log: Known
  readonly #all = new Map<number, LocalConsumer>()
  /** Ids on their way to the log, which must not be handed over early a second time. */
  readonly #underway = new Set<string>()
  #sharded: LocalConsumer[] = []
  #last = 0

  constructor(line: Writes, shards: number, log: Known) {
    this.#line = line
    this.#shards = shards
    this.#log = log
  }

  async subscribe(subscription: Subscription): Promise<Consumer> {
    const number = ++this.#last
    const consumer = new LocalConsumer(number, subscription, {
      line: this.#line,
      shards: this.#shards,
      settle: (settlement, events) => this.settle(settlement, events),
      closed: () => this.#remove(number),
    })
    this.#all.set(number, consumer)
    this.#changed()
    const { group, mode, filter, inFlight, limit = null, from } = subscription
    try {
      await this.#line.submit(['subscribe', number, group, mode, filter, inFlight, limit, from])
    } catch (error) {
      this.#remove(number)
      throw error
    }
    return consumer
  }

  /**
   * Entries as rows. Those of which a local consumer owns the shard are handed to it before they are durable: ops are
   * first in, first out, so nothing that it derives from them can be durable before they are. If another process has stored
   * another event under the id meanwhile, the shard's ticket is void by then, and with it what was derived.
   */
  flatten(entries: readonly EncodedEvent[], mayBeEarly: boolean): Rows {
    const rows: Rows = []
    for (const entry of entries) {
      const { id, type, target, correlationid } = entry.event
      const early = mayBeEarly && this.#sharded.length > 0 ? this.#handOverEarly(entry.event) : 0
      rows.push(id, type, target ?? null, correlationid, entry.json, early)
    }
    return rows
  }

  /** The ops that carried these entries are done, or lost. */
  arrived(entries: readonly EncodedEvent[]): void {
    if (this.#underway.size) for (const { event } of entries) this.#underway.delete(event.id)
  }

  /** Publishes `events` with the end of a delivery, or without it when the delivery is void already. */
  async settle(settlement: Settlement | undefined, events: readonly EncodedEvent[]): Promise<void> {
    const rows = this.flatten(events, true)
    try {
      await this.#line.submit(settlement ? ['settle', settlement, rows] : ['publish', rows], events)
    } finally {
      this.arrived(events)
    }
  }

  /** A commit with this settlement was accepted. */
  settled([consumer, id]: Settlement): void {
    this.#all.get(consumer)?.done(id)
  }

  shardsChanged({ lost, won, caughtUp }: Reply): void {
    for (const [consumer, shard] of lost) this.#all.get(consumer)?.lose(shard)
    for (const [consumer, shard, ticket] of won) this.#all.get(consumer)?.owned.set(shard, ticket)
    for (const [consumer, is] of caughtUp) this.#all.get(consumer)?.setCaughtUp(is)
  }

  handOut({ handouts, wakes }: Reply, done: readonly Pending[]): void {
    for (const handout of handouts) {
      const [consumer, , since, position, op, row] = handout
      const { event, problem } =
        op < 0
          ? readDelivery(row as string, () => this.#log.whereabouts(position))
          : { event: copyOf(done[op]!.entries[row as number]!.event) }
      const at = since > 0 ? since : since < 0 ? Date.parse(event.time) : Date.now()
      this.#all.get(consumer)?.take(handout, event, at, problem)
    }
    for (const [consumer, task, due] of wakes) this.#all.get(consumer)?.subscription.onWake?.(task, due)
  }

  /** A transaction was lost: what sharded consumers have in hand is void and will be handed out again. */
  lost(): void {
    this.#underway.clear()
    for (const consumer of this.#sharded) consumer.loseAll()
  }

  /** The ticket by which it was handed over; 0 when it was not. */
  #handOverEarly(event: CloudEvent): number {
    const consumer = this.#sharded.find(candidate => candidate.matches(event))
    if (!consumer) return 0
    const isNew = !this.#underway.has(event.id)
    this.#underway.add(event.id)
    if (!isNew || !consumer.hasRoom(event) || this.#log.has(event.id)) return 0
    return consumer.takeEarly(copyOf(event))
  }

  #remove(number: number): void {
    this.#all.delete(number)
    this.#changed()
  }

  #changed(): void {
    this.#sharded = [...this.#all.values()].filter(consumer => consumer.subscription.mode === 'sharded')
  }
}
