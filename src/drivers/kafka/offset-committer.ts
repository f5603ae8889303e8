import { setTimeout as sleep } from 'node:timers/promises'
import { TidingsError } from '../../errors.ts'
import { commitSettlements } from './committed-offsets.ts'
import type { KafkaLog } from './kafka-log.ts'
import type { GroupMembership } from './membership.ts'
import type { PartitionFeed } from './partition-feed.ts'
import { KafkaRefusal } from './refusal.ts'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** So that a death soon after a hand-out counts as an attempt, without a request for each hand-out. */
const handOutDelayMs = 100
const retryDelayMs = 50

/** Stores what a member of a shared group has settled. What waits for the commit before it shares the next one. */
export class OffsetCommitter {
  readonly #log: KafkaLog
  readonly #group: string
  readonly #membership: () => GroupMembership
  readonly #waiting = new Map<PartitionFeed, Waiter[]>()
  readonly #delayed = new Map<PartitionFeed, NodeJS.Timeout>()
  #isRunning = false

  constructor(log: KafkaLog, group: string, membership: () => GroupMembership) {
    this.#log = log
    this.#group = group
    this.#membership = membership
  }

  /** Resolves when what the feed has settled up to now is stored. @throws E_LOG_UNAVAILABLE if the feed has another owner */
  commit(feed: PartitionFeed): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiting.get(feed) ?? []
      waiters.push({ resolve, reject })
      this.#waiting.set(feed, waiters)
      void this.#run()
    })
  }

  /** Stores soon what was handed out. */
  commitSoon(feed: PartitionFeed): void {
    if (this.#delayed.has(feed)) return
    const timer = setTimeout(() => void this.commit(feed).catch(() => {}), handOutDelayMs)
    this.#delayed.set(feed, timer)
  }

  /** Stores the last state of feeds that have no delivery in flight any more. */
  async handOver(feeds: readonly PartitionFeed[]): Promise<void> {
    for (const { settlement } of feeds) settlement.handOver()
    await Promise.all(feeds.map(feed => this.commit(feed)))
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    while (this.#waiting.size > 0) {
      await Promise.resolve()
      const batch = [...this.#waiting]
      this.#waiting.clear()
      const feeds = batch.map(([feed]) => feed)
      for (const feed of feeds) this.#forgetDelayed(feed)
      try {
        await this.#store(feeds)
      } catch {
        // A feed that was lost meanwhile is left out.
      }
      for (const [feed, waiters] of batch)
        for (const { resolve, reject } of waiters)
          if (feed.isClosed) reject(lost(this.#group))
          else resolve()
    }
    this.#isRunning = false
  }

  /** Repeats it until the broker has stored it, or all feeds have other owners. */
  async #store(feeds: readonly PartitionFeed[]): Promise<void> {
    for (;;) {
      const open = feeds.filter(({ isClosed }) => !isClosed)
      if (open.length === 0) return
      const membership = this.#membership()
      try {
        const settlements = new Map(open.map(feed => [feed.partition, feed.settlement.stored()]))
        return await commitSettlements(this.#log, this.#group, membership.identity, settlements)
      } catch (error) {
        if (error instanceof TidingsError && error.code === 'E_BUS_CLOSED') throw error
        // The members are sharing the partitions, or the broker is away. If this member has lost its own, it closes the feeds.
        if (error instanceof KafkaRefusal) await membership.settled()
        await sleep(retryDelayMs)
      }
    }
  }

  #forgetDelayed(feed: PartitionFeed): void {
    clearTimeout(this.#delayed.get(feed))
    this.#delayed.delete(feed)
  }
}

const lost = (group: string) =>
  new TidingsError(
    'E_LOG_UNAVAILABLE',
    `this member of the group "${group}" lost the partition; another one has the delivery`,
    {
      retryable: true,
    },
  )
