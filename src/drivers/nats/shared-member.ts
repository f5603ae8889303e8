import type { Subscription } from '../../bus/driver.ts'
import { InFlightWindow, type GroupMember } from './in-flight-window.ts'
import type { Groups } from './groups.ts'
import { durableOf } from './names.ts'
import type { NatsDelivery } from './nats-delivery.ts'
import { Ownership } from './ownership.ts'
import { PullConsumer } from './pull-consumer.ts'
import type { MemberContext } from './sharded-member.ts'

/** A request to a partition with a backlog takes room from the others, so it ends soon if other members got the backlog. */
const backlogExpiresMs = 250
/** A request to a partition without one. It may bring a delivery when the window has no room any more. */
const standingExpiresMs = 5_000
/** The most that a request to a partition without a backlog is for. More would keep room from the others for as long. */
const maxStanding = 8
/** Every hand-over counts as a delivery, and a delivery that is repeated often looks like one that kills its workers. */
const maxHandOvers = 2

/**
 * A member of a shared group: pulls as many as its window has room for. The server keeps the limit of the group if the log has
 * one partition. With several, the limit is a number of slots, which the members own as those of a sharded group own shards:
 * a member never holds more than its slots.
 */
export class SharedMember implements GroupMember {
  readonly window: InFlightWindow
  readonly #subscription: Subscription
  /** One for each partition. */
  readonly #consumers: readonly PullConsumer[]
  readonly #slots: Ownership<true> | undefined
  readonly #groups: Groups
  readonly #leaseMs: number
  readonly #closed: (consumer: SharedMember) => void
  /** The partition that is asked first the next time. */
  #first = 0
  #isHandingOver = false
  #isClosed = false

  constructor(
    { context, log, groups, leaseMs, now, newInbox }: MemberContext,
    subscription: Subscription,
    closed: (consumer: SharedMember) => void,
  ) {
    this.#subscription = subscription
    this.#groups = groups
    this.#leaseMs = leaseMs
    this.#closed = closed
    const { group, filter, limit, maxInFlight } = subscription
    let consumers: readonly PullConsumer[] = []
    const slots: Ownership<true> | undefined =
      limit === undefined || log.partitions.length === 1
        ? undefined
        : new Ownership<true>({
            connection: context.connection,
            log,
            group,
            filter,
            leaseMs,
            now,
            count: async () => (await groups.limitOf(group)) ?? limit,
            acquire: () => true,
            releasable: () => slots!.owned.size - this.window.inFlight,
            balanced: async () => this.#onSlots(),
          })
    this.#slots = slots
    const window = new InFlightWindow({
      context,
      subscription,
      ackWaitMs: leaseMs,
      readGroupFilter: () => groups.filterOf(group),
      onRoom: () => this.#onRoom(),
      ...(slots && { maxInFlight: () => Math.min(maxInFlight, slots.kept) }),
    })
    this.window = window
    this.#consumers = consumers = log.partitions.map(
      ({ name }, partition) =>
        new PullConsumer({
          connection: context.connection,
          partition,
          stream: name,
          consumer: durableOf(group),
          newInbox,
          givesBack: true,
          room: () => (log.partitions.length === 1 ? window.room : this.#roomOf(consumers[partition])),
          ...(log.partitions.length > 1 && {
            expiresMs: () => (consumers[partition]?.pending ? backlogExpiresMs : standingExpiresMs),
          }),
          onMessage: pulled => window.receive(pulled),
          onMissing: () => void this.#groups.provision(this.window.group).catch(() => {}),
        }),
    )
  }

  async start(): Promise<void> {
    await this.#slots?.start()
    this.#pull()
  }

  pause(): void {
    for (const consumer of this.#consumers) consumer.stop()
    this.window.pause()
    this.#slots?.retire()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.pause()
    this.window.giveBack()
    this.#closed(this)
    await this.#slots?.close()
  }

  async onHeartbeat(now: number): Promise<void> {
    for (const consumer of this.#consumers) consumer.check()
    if (this.#consumers.length > 1) void this.#handOver(now)
    if (await this.#slots?.renewIfDue()) await this.#slots!.rebalance()
  }

  reconnected(): void {
    for (const consumer of this.#consumers) consumer.restart()
    this.#slots?.changed()
  }

  async recreate(): Promise<void> {
    const join = () => this.#groups.join(this.#subscription)
    await (this.#slots ? this.#slots.recreate(join) : join())
  }

  #onRoom(): void {
    // A slot may be free now that should go to another member.
    if (this.#slots?.isReleasing) this.#slots.changed()
    this.#pull()
  }

  #onSlots(): void {
    this.window.resized()
    // Without slots, what these requests bring would only be given back.
    if (this.#slots!.kept === 0) for (const consumer of this.#consumers) if (consumer.requested > 0) consumer.restart()
    this.#pull()
  }

  #pull(): void {
    const { length } = this.#consumers
    for (let i = 0; i < length; i++) this.#consumers[(this.#first + i) % length]!.pull()
    this.#first = (this.#first + 1) % length
  }

  /**
   * How many deliveries to request from one of several partitions. One without a known backlog gets a request for a few. The first
   * of these takes no room from the others; so at most one delivery less than there are partitions arrives without room.
   */
  #roomOf(consumer: PullConsumer | undefined): number {
    const { room } = this.window
    if (!consumer || room <= 0) return 0
    let backlogs = 0
    let requested = 0
    for (const each of this.#consumers) {
      if (each.pending > 0) backlogs++
      if (each !== consumer) requested += each.pending > 0 ? each.requested : Math.max(0, each.requested - 1)
    }
    const standing = Math.min(maxStanding, Math.floor(room / (4 * this.#consumers.length)), room - requested)
    if (consumer.pending === 0) return Math.max(1, standing)
    return Math.min(consumer.pending, Math.ceil(room / backlogs), room - requested)
  }

  /** Returns deliveries that wait for room to the server while other members ask it for some. */
  async #handOver(now: number): Promise<void> {
    const isOverdue = ({ receivedAt, pulled }: NatsDelivery) =>
      now - receivedAt >= this.#leaseMs / 6 && pulled.delivered <= maxHandOvers
    if (this.#isHandingOver || !this.window.waiting.some(isOverdue)) return
    this.#isHandingOver = true
    try {
      for (const consumer of this.#consumers) {
        const isMeant = (delivery: NatsDelivery) => delivery.pulled.consumer === consumer && isOverdue(delivery)
        if (!this.window.waiting.some(isMeant)) continue
        const requests = await this.#groups.countRequests(this.window.group, consumer.partition)
        const own = consumer.requested > 0 ? 1 : 0
        this.window.giveBackWaiting(this.window.waiting.filter(isMeant).slice(0, Math.max(0, requests - own)))
      }
    } catch {
      // The log is unavailable; the next heartbeat asks again.
    } finally {
      this.#isHandingOver = false
    }
  }
}
