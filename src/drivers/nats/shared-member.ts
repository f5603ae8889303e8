import type { Subscription } from '../../bus/driver.ts'
import { InFlightWindow, type GroupMember } from './in-flight-window.ts'
import type { Groups } from './groups.ts'
import { durableOf } from './names.ts'
import { PullConsumer } from './pull-consumer.ts'
import type { MemberContext } from './sharded-member.ts'

/** A member of a shared group: pulls as many as its window has room for; the server keeps the limit of the group. */
export class SharedMember implements GroupMember {
  readonly window: InFlightWindow
  readonly #subscription: Subscription
  readonly #consumer: PullConsumer
  readonly #groups: Groups
  readonly #closed: (consumer: SharedMember) => void
  #isClosed = false

  constructor(
    { context, groups, leaseMs, newInbox }: MemberContext,
    subscription: Subscription,
    closed: (consumer: SharedMember) => void,
  ) {
    this.#subscription = subscription
    this.#groups = groups
    this.#closed = closed
    let consumer: PullConsumer | undefined
    const window = new InFlightWindow({
      context,
      subscription,
      ackWaitMs: leaseMs,
      readGroupFilter: () => groups.filterOf(subscription.group),
      onRoom: () => consumer?.pull(),
    })
    this.window = window
    this.#consumer = consumer = new PullConsumer({
      connection: context.connection,
      stream: context.names.log,
      consumer: durableOf(subscription.group),
      newInbox,
      givesBack: true,
      room: () => window.room,
      onMessage: pulled => window.receive(pulled),
      onMissing: () => void this.#groups.provision(this.window.group).catch(() => {}),
    })
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

  async onHeartbeat(): Promise<void> {
    this.#consumer.check()
  }

  reconnected(): void {
    this.#consumer.restart()
  }

  async recreate(): Promise<void> {
    await this.#groups.join(this.#subscription)
  }
}
