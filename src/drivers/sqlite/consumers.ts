import type { Consumer, Delivery, Entry, Outcome, Subscription } from '../../bus/driver.ts'
import { shardOf } from '../../bus/ids.ts'
import type { CloudEvent } from '../../event.ts'
import { compileFilter } from '../../pattern.ts'
import type { Line, Pending } from './line.ts'
import type { Handout, Reply, Rows, Settlement } from './protocol.ts'

/** The subscriptions of this process, as the main thread sees them. */
export class Consumers {
  readonly #line: Line
  readonly #shards: number
  readonly #isStored: (id: string) => boolean
  readonly #all = new Map<number, LocalConsumer>()
  /** Ids on their way to the log, which must not be handed over early a second time. */
  readonly #underway = new Set<string>()
  #sharded: LocalConsumer[] = []
  #last = 0

  constructor(line: Line, shards: number, isStored: (id: string) => boolean) {
    this.#line = line
    this.#shards = shards
    this.#isStored = isStored
  }

  async subscribe(subscription: Subscription): Promise<Consumer> {
    const number = ++this.#last
    const consumer = new LocalConsumer(number, subscription, this.#line, this.#shards, () => this.#remove(number))
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
   * first in, first out, so nothing that it derives from them can be durable before they are.
   */
  flatten(entries: readonly Entry[], mayBeEarly: boolean): Rows {
    const rows: Rows = []
    for (const entry of entries) {
      const { id, type, target, correlationid } = entry.event
      const early = mayBeEarly && this.#sharded.length > 0 ? this.#handOverEarly(entry.event) : 0
      rows.push(id, type, target ?? null, correlationid, entry.json, early)
    }
    return rows
  }

  /** The ops that carried these entries are done, or lost. */
  arrived(entries: readonly Entry[]): void {
    if (this.#underway.size) for (const { event } of entries) this.#underway.delete(event.id)
  }

  settlement(group: string, event: CloudEvent, outcome: Outcome): Settlement | undefined {
    for (const consumer of this.#all.values()) {
      if (consumer.group !== group) continue
      const delivery = consumer.held.get(event.id)
      if (delivery) return delivery.settlement(outcome)
    }
    return undefined
  }

  /** A commit with this settlement was accepted. */
  settled([consumer, id]: Settlement): void {
    this.#all.get(consumer)?.done(id)
  }

  shardsChanged({ lost, won, caughtUp }: Reply): void {
    for (const [consumer, shard] of lost) this.#all.get(consumer)?.lose(shard)
    for (const [consumer, shard] of won) this.#all.get(consumer)?.owned.add(shard)
    for (const [consumer, is] of caughtUp) this.#all.get(consumer)?.setCaughtUp(is)
  }

  handOut({ handouts, wakes }: Reply, done: readonly Pending[]): void {
    for (const handout of handouts) {
      const [consumer, , since, , op, row] = handout
      const event = op < 0 ? (JSON.parse(row as string) as CloudEvent) : done[op]!.entries[row as number]!.event
      this.#all.get(consumer)?.take(handout, event, since > 0 ? since : since < 0 ? Date.parse(event.time) : Date.now())
    }
    for (const [consumer, task, due] of wakes) this.#all.get(consumer)?.subscription.onWake?.(task, due)
  }

  /** A transaction was lost: what sharded consumers have in hand is void and will be handed out again. */
  lost(): void {
    this.#underway.clear()
    for (const consumer of this.#sharded) consumer.loseAll()
  }

  #handOverEarly(event: CloudEvent): number {
    const consumer = this.#sharded.find(candidate => candidate.matches(event))
    if (!consumer) return 0
    const isNew = !this.#underway.has(event.id)
    this.#underway.add(event.id)
    if (!isNew || !consumer.hasRoom(event.correlationid) || this.#isStored(event.id)) return 0
    consumer.takeEarly(event)
    return consumer.number
  }

  #remove(number: number): void {
    this.#all.delete(number)
    this.#changed()
  }

  #changed(): void {
    this.#sharded = [...this.#all.values()].filter(consumer => consumer.subscription.mode === 'sharded')
  }
}

class LocalConsumer implements Consumer {
  readonly number: number
  readonly subscription: Subscription
  readonly matches
  readonly held = new Map<string, Handed>()
  readonly owned = new Set<number>()
  readonly line: Line
  readonly #shards: number
  readonly #onClose: () => void
  /** Came from the writer while early hand-overs had filled the window; never more than the window. */
  #waiting: Handed[] = []
  #caughtUp = false
  #paused = false

  constructor(number: number, subscription: Subscription, line: Line, shards: number, onClose: () => void) {
    this.number = number
    this.subscription = subscription
    this.line = line
    this.matches = compileFilter(subscription.filter)
    this.#shards = shards
    this.#onClose = onClose
  }

  get group(): string {
    return this.subscription.group
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.line.submit(['pause', this.number]).catch(ignore)
  }

  /** When the log cannot be written, the writer frees what this consumer had as soon as it can be again. */
  async close(): Promise<void> {
    this.#paused = true
    this.held.clear()
    this.#waiting = []
    this.#onClose()
    await this.line.submit(['unsubscribe', this.number]).catch(ignore)
  }

  hasRoom(correlation: string): boolean {
    return (
      this.#caughtUp && !this.#paused && this.#waiting.length === 0 && this.held.size < this.subscription.inFlight &&
      this.owned.has(shardOf(correlation, this.#shards))
    )
  }

  takeEarly(event: CloudEvent): void {
    const delivery = new Handed(this, event, 1, Date.now(), 0)
    this.held.set(event.id, delivery)
    queueMicrotask(() => {
      if (this.held.get(event.id) === delivery) this.subscription.onDelivery(delivery)
    })
  }

  take([, attempt, , position]: Handout, event: CloudEvent, since: number): void {
    const delivery = new Handed(this, event, attempt, since, position)
    if (this.subscription.mode === 'shared') {
      if (this.#paused) this.line.submit(['giveBack', this.number, position]).catch(ignore)
      else this.#give(delivery)
    } else if (this.#paused || this.held.size >= this.subscription.inFlight) this.#waiting.push(delivery)
    else this.#give(delivery)
  }

  /** A delivery left the hand. */
  done(id: string): void {
    this.held.delete(id)
    if (this.#waiting.length && !this.#paused && this.held.size < this.subscription.inFlight) this.#give(this.#waiting.shift()!)
  }

  lose(shard: number): void {
    this.owned.delete(shard)
    for (const [id, delivery] of this.held) if (this.#shardOf(delivery) === shard) this.held.delete(id)
    this.#waiting = this.#waiting.filter(delivery => this.#shardOf(delivery) !== shard)
    this.subscription.onLost?.(shard)
  }

  loseAll(): void {
    this.#caughtUp = false
    for (const shard of [...this.owned]) this.lose(shard)
  }

  setCaughtUp(is: boolean): void {
    this.#caughtUp = is
  }

  #give(delivery: Handed): void {
    this.held.set(delivery.event.id, delivery)
    this.subscription.onDelivery(delivery)
  }

  #shardOf(delivery: Delivery): number {
    return shardOf(delivery.event.correlationid, this.#shards)
  }
}

class Handed implements Delivery {
  readonly event: CloudEvent
  readonly attempt: number
  readonly since: number
  readonly #consumer: LocalConsumer
  readonly #position: number

  constructor(consumer: LocalConsumer, event: CloudEvent, attempt: number, since: number, position: number) {
    this.#consumer = consumer
    this.event = event
    this.attempt = attempt
    this.since = since
    this.#position = position
  }

  get group(): string {
    return this.#consumer.group
  }

  settlement(outcome: Outcome): Settlement {
    const after = outcome.kind === 'retry' ? outcome.after : 0
    const reason = outcome.kind === 'done' ? '' : outcome.reason
    const key = outcome.kind === 'park' ? (outcome.key ?? null) : null
    return [this.#consumer.number, this.event.id, this.#position, outcome.kind, after, reason, key]
  }

  async settle(outcome: Outcome, events: readonly Entry[] = []): Promise<void> {
    const { event } = this
    const consumer = this.#consumer
    const isHeld = consumer.held.get(event.id) === this
    if (!isHeld && events.length === 0) return
    if (isHeld) consumer.done(event.id)
    try {
      await consumer.settleWith(this.settlement(outcome), isHeld, events)
    } catch (error) {
      if (isHeld && consumer.subscription.mode === 'shared') consumer.held.set(event.id, this)
      throw error
    }
  }
}

const ignore = () => undefined
