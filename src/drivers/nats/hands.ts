import type { Consumer, Subscription } from '../../bus/driver.ts'
import { readDelivery } from '../../bus/malformed.ts'
import type { Reason } from '../../bus/reason.ts'
import { compileFilter, type Filter } from '../../pattern.ts'
import { Handed, type Hand, type Ties } from './handed.ts'
import type { Pulled } from './puller.ts'

/**
 * What one subscription has in hand, never more than its window, and what has come early and waits for room. While it is
 * here the server hears of it, so that nobody else gets it.
 */
export class Hands implements Hand {
  readonly ties: Ties
  readonly #subscription: Subscription
  readonly #ackWaitMs: number
  readonly #filterOfGroup: () => Promise<Filter>
  #matches
  #unmatched: Handed[] = []
  /** By their sequence in the stream. */
  readonly #held = new Map<number, Handed>()
  #waiting: Handed[] = []
  readonly #onRoom: () => void
  #paused = false
  /** Where the newest acknowledgement of each consumer went. */
  readonly #lastReplies = new Map<string, string>()

  constructor(
    ties: Ties,
    subscription: Subscription,
    ackWaitMs: number,
    filterOfGroup: () => Promise<Filter>,
    onRoom: () => void,
  ) {
    this.ties = ties
    this.#subscription = subscription
    this.#ackWaitMs = ackWaitMs
    this.#filterOfGroup = filterOfGroup
    this.#matches = compileFilter(subscription.filter)
    this.#onRoom = onRoom
  }

  get group(): string {
    return this.#subscription.group
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** Room for what is handed out at once. */
  get room(): number {
    return this.#paused ? 0 : this.#subscription.inFlight - this.#held.size - this.#waiting.length
  }

  /** How many of a shard wait for room. */
  waiting(shard: number): number {
    let count = 0
    for (const handed of this.#waiting) if (handed.shard === shard) count++
    return count
  }

  take(pulled: Pulled): void {
    const known = this.#held.get(pulled.seq)
    // A log that was made anew uses the same sequences for other messages.
    if (known?.pulled.at === pulled.at) return known.renew(pulled)
    const text = pulled.message.string()
    const { event, problem } = readDelivery(text, () => ({ at: { subject: pulled.subject } }))
    const handed = new Handed(this, pulled, event)
    if (problem) return void this.#refuse(handed, problem)
    this.ties.recent.add(handed.position, event.id, text)
    if (this.#matches(handed.event)) return this.#receive(handed)
    this.#unmatched.push(handed)
    if (this.#unmatched.length === 1) void this.#lookCloser()
  }

  holds(handed: Handed): boolean {
    return this.#held.get(handed.pulled.seq) === handed
  }

  /** So that what was acknowledged before counts as settled: each consumer is asked once, behind its acknowledgements. */
  async flush(): Promise<void> {
    const last = [...this.#lastReplies.values()]
    this.#lastReplies.clear()
    await Promise.all(last.map(reply => this.ties.link.request(reply, '+ACK').catch(() => {})))
  }

  drop(handed: Handed): boolean {
    if (!this.holds(handed)) return false
    this.#held.delete(handed.pulled.seq)
    this.#lastReplies.set(handed.pulled.consumer, handed.pulled.reply)
    while (this.#waiting.length > 0 && !this.#paused && this.#held.size < this.#subscription.inFlight)
      this.#give(this.#waiting.shift()!)
    this.#onRoom()
    return true
  }

  pause(): void {
    this.#paused = true
    for (const handed of this.#waiting.splice(0)) handed.giveBack()
  }

  /** Gives everything back, or that of one shard. */
  giveBack(shard?: number): void {
    const isMeant = (handed: Handed) => shard === undefined || handed.shard === shard
    for (const handed of [...this.#held.values(), ...this.#waiting]) if (isMeant(handed)) handed.giveBack()
    this.forget(shard)
  }

  /** Somebody else has it by now, or will. */
  forget(shard?: number): void {
    const isKept = (handed: Handed) => shard !== undefined && handed.shard !== shard
    for (const [seq, handed] of this.#held) if (!isKept(handed)) this.#held.delete(seq)
    this.#waiting = this.#waiting.filter(isKept)
  }

  /** Tells the server what is still being worked on. */
  beat(now: number): void {
    for (const handed of [...this.#held.values(), ...this.#waiting])
      if (now - handed.beatAt >= this.#ackWaitMs / 3) handed.beat(now)
  }

  /** What is no event is for a person to look at, and must not come again. */
  async #refuse(handed: Handed, problem: Reason): Promise<void> {
    this.#held.set(handed.pulled.seq, handed)
    await handed.conclude({ kind: 'discard', reason: problem }).catch(() => {})
  }

  #receive(handed: Handed): void {
    if (this.#paused) handed.giveBack()
    else if (this.#held.size >= this.#subscription.inFlight) this.#waiting.push(handed)
    else this.#give(handed)
  }

  /**
   * The server may send more than is asked for. But a member that has just joined may ask for more than is known here, and
   * taking its events for nothing would lose them: the group's own document, read after they came, decides.
   */
  async #lookCloser(): Promise<void> {
    while (this.#unmatched.length > 0) {
      const count = this.#unmatched.length
      try {
        this.#matches = compileFilter([...(await this.#filterOfGroup()), ...this.#subscription.filter])
      } catch {
        // The log is away; the server hands them out again.
        this.#unmatched = []
        return
      }
      for (const handed of this.#unmatched.splice(0, count)) {
        if (this.#matches(handed.event)) this.#receive(handed)
        else handed.acknowledge()
      }
    }
  }

  #give(handed: Handed): void {
    this.#held.set(handed.pulled.seq, handed)
    this.#subscription.onDelivery(handed)
  }
}

/** What the driver keeps of a subscription. */
export interface LocalConsumer extends Consumer {
  readonly hands: Hands
  /** Called several times within the time that the server waits for an acknowledgement; `now` is of the monotonic clock. */
  beat(now: number): Promise<void>
  reconnected(): void
  /** The server lost its data: everything is made anew. */
  renewed(): Promise<void>
}
