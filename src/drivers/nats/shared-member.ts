import type { Subscription } from '../../bus/driver.ts'
import { InFlightWindow, type GroupMember } from './in-flight-window.ts'
import type { Groups } from './groups.ts'
import type { NatsDeliveryContext } from './nats-delivery.ts'
import { durableOf } from './names.ts'
import { PullConsumer } from './pull-consumer.ts'

/** A member of a shared group: pulls as many as its window has room for; the server keeps the limit of the group. */
export class SharedMember implements GroupMember {
  readonly window: InFlightWindow
  readonly #subscription: Subscription
  readonly #consumer: PullConsumer
  readonly #groups: Groups
  readonly #closed: (consumer: SharedMember) => void
  #isClosed = false

  constructor(
    context: NatsDeliveryContext,
    subscription: Subscription,
    groups: Groups,
    ackWaitMs: number,
    newInbox: () => string,
    closed: (consumer: SharedMember) => void,
  ) {
    this.#subscription = subscription
    this.#groups = groups
    this.#closed = closed
    let consumer: PullConsumer | undefined
    const window = new InFlightWindow(
      context,
      subscription,
      ackWaitMs,
      () => groups.filterOf(subscription.group),
      () => consumer?.pull(),
    )
    this.window = window
    this.#consumer = consumer = new PullConsumer(
      context.connection,
      context.names.log,
      durableOf(subscription.group),
      newInbox,
      {
        givesBack: true,
        room: () => window.room,
        onMessage: pulled => window.receive(pulled),
        onMissing: () => void this.#groups.provision(this.window.group).catch(() => {}),
      },
    )
  }

  pause(): void {
    this.#consumer.stop()
    this.window.pause()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.pause()
    this.window.giveBack()
    this.#closed(this)
  }

  async beat(): Promise<void> {
    this.#consumer.check()
  }

  reconnected(): void {
    this.#consumer.restart()
  }

  async renewed(): Promise<void> {
    await this.#groups.join(this.#subscription)
  }
}
