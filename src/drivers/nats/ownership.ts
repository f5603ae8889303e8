import { randomUUIDv7 } from 'node:crypto'
import { type Now, Stopwatch } from '../../bus/clock.ts'
import type { Filter } from '../../pattern.ts'
import { balanceShards } from '../shared/shards.ts'
import type { LogConnection } from './connection.ts'
import { Membership, type Owners } from './membership.ts'
import type { NatsLog } from './nats-log.ts'

interface OwnershipOptions<T> {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly group: string
  readonly filter: Filter
  readonly leaseMs: number
  readonly now: Now
  /** How many there are. */
  count(): number | Promise<number>
  /** This member owns it from now on. */
  acquire(index: number): T
  /** How many can be released now. The others are kept until the next balancing. Default: all. */
  releasable?(): number
  /** Gives it up. Other members may own it when this has settled. */
  release?(index: number): Promise<void>
  /** Another member owns it, or may own it from now on. */
  lose?(index: number, item: T): void
  /** Called after each balancing, with the filters of the live members. */
  balanced?(filters: readonly Filter[]): Promise<void>
}

/*
 * What one member owns: shards of its group, or slots of its limit. Its lease is a document that it renews; who owns what is
 * another. A member takes its even share.
 *
 *     heartbeat, membership change ──▶ read members ──▶ balance ──▶ compare and swap ──▶ acquire or release
 */
export class Ownership<T> {
  readonly #options: OwnershipOptions<T>
  readonly #id = randomUUIDv7()
  readonly #membership: Membership
  readonly #owned = new Map<number, T>()
  /** What is owned and will be released as soon as possible. */
  readonly #leaving = new Set<number>()
  #rebalancing: Promise<void> | undefined
  #rebalanceAgain = false
  #renewed: Stopwatch
  #renewing: Promise<void> | undefined
  /** Until then, by the monotonic clock, owners without a lease may come back. */
  #returningUntil = 0
  #isRetiring = false
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

  /** How many are owned and stay so. */
  get kept(): number {
    return this.isValid ? this.#owned.size - this.#leaving.size : 0
  }

  /** Whether something will be released as soon as it can. */
  get isReleasing(): boolean {
    return this.#leaving.size > 0
  }

  async renewIfDue(): Promise<boolean> {
    if (this.#isClosed || this.#renewed.elapsed < this.#options.leaseMs / 4) return false
    await this.#renew()
    return true
  }

  /** Members or owners may have changed, or what can be released. */
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
    if (this.#isClosed) return
    await this.#renew()
    await this.rebalance()
  }

  /** Acquires nothing more, releases what it can, and leaves the group when it owns nothing. */
  retire(): void {
    this.#isRetiring = true
    this.changed()
  }

  /** After `prepare`, frees what is owned and tells the other members. If that fails, the lease expires. */
  async close(prepare?: () => Promise<void>): Promise<void> {
    this.#isClosed = true
    await this.#rebalancing?.catch(() => {})
    try {
      await prepare?.()
      if (!this.#options.connection.isConnected) return
      await this.#disown()
      await this.#membership.leave()
    } catch {
      // The connection was lost just now.
    } finally {
      this.#membership.stop()
      this.#owned.clear()
      this.#leaving.clear()
    }
  }

  /** The lease counts from before the request, so it never ends here later than on the server. */
  #renew(): Promise<void> {
    if (!this.isValid) {
      // It slept, or the server was away. In the second case the other members come back too, and still use what they own.
      this.#loseAll()
      this.#returningUntil = performance.now() + this.#options.leaseMs / 2
    }
    const renewed = new Stopwatch(this.#options.now)
    return (this.#renewing ??= this.#membership
      .renew()
      .then(() => void (this.#renewed = renewed))
      .finally(() => (this.#renewing = undefined)))
  }

  async #rebalanceOnce(): Promise<void> {
    const { acquire, balanced, filter } = this.#options
    for (;;) {
      if (!this.isValid) await this.#renew()
      const view = await this.#membership.read()
      const count = await this.#options.count()
      if (this.#isClosed) return
      const isReturning = performance.now() < this.#returningUntil
      const members = isReturning ? withOwners(view.members, view.owners) : view.members
      const owners = this.#isRetiring
        ? view.owners.map(owner => (owner === this.#id ? null : owner))
        : balance(this.#id, members, view.owners, count)
      await this.#release(owners, view.owners)
      limitNew(this.#id, members, owners, { before: view.owners, count })
      const isSame = owners.length === view.owners.length && owners.every((owner, i) => owner === view.owners[i])
      const isNew = owners.some((owner, i) => owner === this.#id && !this.#owned.has(i))
      // What was lost is claimed even if it is still stored: another member may be about to take it.
      if ((!isSame || isNew) && !(await this.#membership.claim(owners, view.revision))) continue
      owners.forEach((owner, index) => {
        if (owner === this.#id && !this.#owned.has(index)) this.#owned.set(index, acquire(index))
      })
      await balanced?.([...view.filters, filter])
      if (this.#isRetiring && this.#owned.size === 0) {
        this.#isClosed = true
        await this.#membership.leave()
      }
      return
    }
  }

  /** Releases what this member should no longer own. `owners` gets what must stay. */
  async #release(owners: Owners, stored: Owners): Promise<void> {
    this.#leaving.clear()
    for (const index of this.#owned.keys()) if (owners[index] !== this.#id) this.#leaving.add(index)
    const { releasable = () => Infinity, release } = this.#options
    let left = releasable()
    // The last first: they are too many if the number was reduced.
    for (const index of [...this.#leaving].toSorted((a, b) => b - a)) {
      const isTaken = stored[index] !== this.#id
      if (!isTaken && left <= 0) owners[index] = this.#id
      else {
        if (!isTaken) left--
        await release?.(index).finally(() => this.#lose(index))
        this.#lose(index)
      }
    }
  }

  #loseAll(): void {
    for (const index of this.#owned.keys()) this.#lose(index)
  }

  #lose(index: number): void {
    if (!this.#owned.has(index)) return
    const item = this.#owned.get(index)!
    this.#owned.delete(index)
    this.#leaving.delete(index)
    this.#options.lose?.(index, item)
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

/** The owners as this member wants them. Those beyond `count` are too many: their owners release them as soon as they can. */
function balance(me: string, members: readonly string[], owners: Owners, count: number): Owners {
  const within = Array.from({ length: count }, (_, index) => owners[index] ?? null)
  const isOfOther = (owner: string | null) => owner !== null && owner !== me && members.includes(owner)
  const surplus = owners.slice(count).map(owner => (isOfOther(owner) ? owner : null))
  return [...balanceShards(me, members, within), ...surplus]
}

/** Acquires nothing while as many as there are have an owner, and drops the end that has none. */
function limitNew(
  me: string,
  members: readonly string[],
  owners: Owners,
  { before, count }: { before: Owners; count: number },
): void {
  let surplus = owners.filter(owner => owner !== null && members.includes(owner)).length - count
  for (let index = owners.length - 1; index >= 0 && surplus > 0; index--) {
    if (owners[index] !== me || before[index] === me) continue
    owners[index] = before[index] ?? null
    surplus--
  }
  while (owners.length > count && owners.at(-1) === null) owners.pop()
}

const withOwners = (members: readonly string[], owners: Owners) =>
  [...new Set([...members, ...owners.filter(owner => owner !== null)])].toSorted()
