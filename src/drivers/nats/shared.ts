import type { Subscription } from '../../bus/driver.ts'
import { Hands, type LocalConsumer } from './hands.ts'
import type { Groups } from './groups.ts'
import type { Ties } from './handed.ts'
import { durableOf } from './names.ts'
import { Puller } from './puller.ts'

/** A member of a shared group: pulls as many as its window has room for; the server keeps the limit of the group. */
export class SharedConsumer implements LocalConsumer {
  readonly hands: Hands
  readonly #subscription: Subscription
  readonly #puller: Puller
  readonly #groups: Groups
  readonly #closed: (consumer: SharedConsumer) => void
  #isClosed = false

  constructor(
    ties: Ties,
    subscription: Subscription,
    groups: Groups,
    ackWaitMs: number,
    newInbox: () => string,
    closed: (consumer: SharedConsumer) => void,
  ) {
    this.#subscription = subscription
    this.#groups = groups
    this.#closed = closed
    let puller: Puller | undefined
    const hands = new Hands(
      ties,
      subscription,
      ackWaitMs,
      () => groups.filterOf(subscription.group),
      () => puller?.pull(),
    )
    this.hands = hands
    this.#puller = puller = new Puller(ties.link, ties.names.log, durableOf(subscription.group), newInbox, {
      givesBack: true,
      room: () => hands.room,
      onMessage: pulled => hands.take(pulled),
      onMissing: () => void this.#groups.provision(this.hands.group).catch(() => {}),
    })
  }

  pause(): void {
    this.#puller.stop()
    this.hands.pause()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.pause()
    this.hands.giveBack()
    this.#closed(this)
  }

  async beat(): Promise<void> {
    this.#puller.check()
  }

  reconnected(): void {
    this.#puller.restart()
  }

  async renewed(): Promise<void> {
    await this.#groups.join(this.#subscription)
  }
}
