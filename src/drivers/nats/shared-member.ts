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
  /** One for each partition. */
  readonly #consumers: readonly PullConsumer[]
  readonly #groups: Groups
  readonly #closed: (consumer: SharedMember) => void
  #isClosed = false

  constructor(
    { context, log, groups, leaseMs, newInbox }: MemberContext,
    subscription: Subscription,
    closed: (consumer: SharedMember) => void,
  ) {
    this.#subscription = subscription
    this.#groups = groups
    this.#closed = closed
    let consumers: readonly PullConsumer[] = []
    const window = new InFlightWindow({
      context,
      subscription,
      ackWaitMs: leaseMs,
      readGroupFilter: () => groups.filterOf(subscription.group),
      onRoom: () => consumers.forEach(consumer => consumer.pull()),
    })
    this.window = window
    this.#consumers = consumers = log.partitions.map(
      ({ name }, partition) =>
        new PullConsumer({
          connection: context.connection,
          partition,
          stream: name,
          consumer: durableOf(subscription.group),
          newInbox,
          givesBack: true,
          room: () => Math.ceil(window.room / log.partitions.length),
          onMessage: pulled => window.receive(pulled),
          onMissing: () => void this.#groups.provision(this.window.group).catch(() => {}),
        }),
    )
  }

  pause(): void {
    for (const consumer of this.#consumers) consumer.stop()
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
    for (const consumer of this.#consumers) consumer.check()
  }

  reconnected(): void {
    for (const consumer of this.#consumers) consumer.restart()
  }

  async recreate(): Promise<void> {
    await this.#groups.join(this.#subscription)
  }
}
