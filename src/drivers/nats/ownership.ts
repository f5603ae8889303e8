import { randomUUIDv7 } from 'node:crypto'
import { type Now, Stopwatch } from '../../bus/clock.ts'
import type { Filter } from '../../pattern.ts'
import { balanceShards } from '../shared/shards.ts'
import type { LogConnection } from './connection.ts'
import { Membership } from './membership.ts'
import type { NatsLog } from './nats-log.ts'

interface OwnershipOptions<T> {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly group: string
  readonly filter: Filter
  readonly leaseMs: number
  readonly now: Now
  /** This member owns it from now on. */
  acquire(index: number): T
  /** Gives it up. Other members may own it when this has settled. */
  release(index: number): Promise<void>
  /** Another member owns it, or may own it from now on. */
  lose(index: number, item: T): void
  /** Called after each balancing, with the filters of the live members. */
  balanced(filters: readonly Filter[]): Promise<void>
}

/*
 * What one member owns of the shards of its group. Its lease is a document that it renews; who owns what is another. A member
 * takes its even share.
 *
 *     heartbeat, membership change ──▶ read members ──▶ balance ──▶ compare and swap ──▶ acquire or release
 */
export class Ownership<T> {
  readonly #options: OwnershipOptions<T>
  readonly #id = randomUUIDv7()
  readonly #membership: Membership
  readonly #owned = new Map<number, T>()
  #rebalancing: Promise<void> | undefined
  #rebalanceAgain = false
  #renewed: Stopwatch
  #renewing: Promise<void> | undefined
  #isClosed = false

  constructor(options: OwnershipOptions<T>) {
    this.#options = options
    this.#renewed = new Stopwatch(options.now)
    const { connection, log, group, filter, leaseMs } = options
    this.#membership = new Membership({
      connection,
      log,
      group,
      id: this.#id,
      filter,
      leaseMs,
      onChange: () => this.changed(),
    })
  }

  async start(): Promise<void> {
    await this.#renew()
    await this.rebalance()
  }

  get owned(): ReadonlyMap<number, T> {
    return this.#owned
  }

  /** False when the lease may have expired, so that others may own what is owned here. */
  get isValid(): boolean {
    return this.#renewed.elapsed <= this.#options.leaseMs
  }

  /** True if the lease was due and is renewed. */
  async renewIfDue(): Promise<boolean> {
    // It slept through its lease, so other members own it all now.
    if (!this.isValid) this.#loseAll()
    if (this.#renewed.elapsed < this.#options.leaseMs / 4) return false
    await this.#renew()
    return true
  }

  /** Members or owners may have changed. */
  changed(): void {
    if (!this.#isClosed) void this.rebalance().catch(() => {})
  }

  /** One at a time; changes that arrive meanwhile are handled afterwards. */
  rebalance(): Promise<void> {
    this.#rebalanceAgain = true
    return (this.#rebalancing ??= (async () => {
      try {
        while (this.#rebalanceAgain && !this.#isClosed) {
          this.#rebalanceAgain = false
          await this.#rebalanceOnce()
        }
      } finally {
        this.#rebalancing = undefined
      }
    })())
  }

  /** The server lost its data. `recreateGroup` comes before the member joins. */
  async recreate(recreateGroup: () => Promise<void>): Promise<void> {
    this.#loseAll()
    await recreateGroup()
    await this.#membership.renew()
    await this.rebalance()
  }

  /** After `prepare`, frees what is owned and tells the other members. If that fails, the lease expires. */
  async close(prepare: () => Promise<void>): Promise<void> {
    this.#isClosed = true
    await this.#rebalancing?.catch(() => {})
    try {
      await prepare()
      if (!this.#options.connection.isConnected) return
      await this.#disown()
      await this.#membership.leave()
    } catch {
      // The connection was lost just now.
    } finally {
      this.#membership.stop()
      this.#owned.clear()
    }
  }

  /** The lease counts from before the request, so it never ends here later than on the server. */
  #renew(): Promise<void> {
    const renewed = new Stopwatch(this.#options.now)
    return (this.#renewing ??= this.#membership
      .renew()
      .then(() => void (this.#renewed = renewed))
      .finally(() => (this.#renewing = undefined)))
  }

  async #rebalanceOnce(): Promise<void> {
    const { acquire, release, balanced, filter } = this.#options
    for (;;) {
      const view = await this.#membership.read()
      if (this.#isClosed) return
      const owners = balanceShards(this.#id, view.members, view.owners)
      for (const index of this.#owned.keys())
        if (owners[index] !== this.#id) await release(index).finally(() => this.#lose(index))
      const isSame = owners.every((owner, index) => owner === view.owners[index])
      if (!isSame && !(await this.#membership.claim(owners, view.revision))) continue
      owners.forEach((owner, index) => {
        if (owner === this.#id && !this.#owned.has(index)) this.#owned.set(index, acquire(index))
      })
      await balanced([...view.filters, filter])
      return
    }
  }

  #loseAll(): void {
    for (const index of this.#owned.keys()) this.#lose(index)
  }

  #lose(index: number): void {
    if (!this.#owned.has(index)) return
    const item = this.#owned.get(index)!
    this.#owned.delete(index)
    this.#options.lose(index, item)
  }

  async #disown(): Promise<void> {
    for (;;) {
      const { owners, revision } = await this.#membership.read()
      const left = owners.map((owner, index) => (owner === this.#id && this.#owned.has(index) ? null : owner))
      if (left.every((owner, index) => owner === owners[index])) return
      if (await this.#membership.claim(left, revision)) return
    }
  }
}
