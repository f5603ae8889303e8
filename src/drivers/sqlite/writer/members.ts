import { host, startOf } from '../processes.ts'
import { consumersPerMember, prepare } from '../schema.ts'
import type { Filter } from '../../../pattern.ts'
import type { Desk } from './intake.ts'

interface Member {
  id: number
  pid: number
  started: string
  host: string
  until: number
}

/** What was last heard of a member: its lease as it wrote it down, and when that ends by the monotonic clock. */
interface Heard {
  readonly until: number
  readonly ends: number
}

/** No lease is believed to be more than so many times one's own: the clock may have been set back since it began. */
const longestLease = 4

/** Open drivers on this log: this one beats, and buries those who stopped. */
export class Members {
  readonly id: number
  #others: Member[] = []
  #heard = new Map<number, Heard>()
  readonly #desk: Desk
  readonly #leaseMs: number
  readonly #list
  readonly #beat
  readonly #owners
  readonly #consumersOf
  readonly #deleteConsumer
  readonly #deleteMember
  readonly #freeLeases
  readonly #join

  constructor(desk: Desk, leaseMs: number) {
    this.#desk = desk
    this.#leaseMs = leaseMs
    const { db } = desk.store
    this.#list = prepare<Member>(db, 'SELECT * FROM members')
    this.#beat = prepare(
      db,
      `INSERT INTO members VALUES (?, ?, ?, ?, ?)
      ON CONFLICT(id) DO UPDATE SET until = excluded.until`,
    )
    this.#owners = prepare<{ owner: number }>(db, 'SELECT owner FROM consumers WHERE owner >= ? AND owner < ?')
    this.#consumersOf = prepare<{ owner: number; filter: string }>(
      db,
      'SELECT owner, filter FROM consumers WHERE grp = ? ORDER BY owner',
    )
    this.#deleteConsumer = prepare(db, 'DELETE FROM consumers WHERE owner = ?')
    this.#deleteMember = prepare(db, 'DELETE FROM members WHERE id = ?')
    this.#freeLeases = prepare(db, 'UPDATE leases SET owner = NULL, suspect = ? WHERE owner = ?')
    this.#join = prepare(db, 'INSERT OR REPLACE INTO consumers VALUES (?, ?, ?)')
    const newId = prepare<{ id: number }>(db, 'INSERT INTO members VALUES (NULL, ?, ?, ?, ?) RETURNING id')
    this.id = newId.get(process.pid, startOf(process.pid), host, desk.now + leaseMs)!.id
  }

  get others(): number {
    return this.#others.length
  }

  ownerOf(consumer: number): number {
    return this.id * consumersPerMember + consumer
  }

  isMine(owner: number): boolean {
    return Math.floor(owner / consumersPerMember) === this.id
  }

  join(owner: number, group: string, filter: Filter): void {
    this.#join.run(owner, group, JSON.stringify(filter))
  }

  /** Consumers of a group, those of dead members left out. */
  ownersOf(group: string): number[] {
    return this.#alive(group).map(row => row.owner)
  }

  /**
   * What any consumer of a group asks for. While versions of an app overlap, whoever owns a shard also takes what only
   * the others know, and its engine hands it back: skipped, it would be lost to them.
   */
  filterOf(group: string): Filter {
    return this.#alive(group).flatMap(row => JSON.parse(row.filter) as Filter)
  }

  #alive(group: string) {
    const members = new Set([this.id, ...this.#others.map(other => other.id)])
    return this.#consumersOf.all(group).filter(row => members.has(Math.floor(row.owner / consumersPerMember)))
  }

  beat(): void {
    this.#beat.run(this.id, process.pid, startOf(process.pid), host, this.#desk.now + this.#leaseMs)
  }

  /** Reads the table again. False when this member itself was buried: it had not beaten for too long. */
  reload(): boolean {
    const all = this.#list.all()
    this.#others = all.filter(member => member.id !== this.id)
    this.#heard = new Map(this.#others.map(other => [other.id, this.#hear(other)]))
    return this.#others.length < all.length
  }

  someoneDied(): boolean {
    return this.#others.some(other => !this.#isAlive(other))
  }

  /** What dead members held is free at once. True when there were any. */
  buryDead(): boolean {
    const dead = this.#others.filter(other => !this.#isAlive(other))
    for (const other of dead) {
      const first = other.id * consumersPerMember
      for (const { owner } of this.#owners.all(first, first + consumersPerMember)) this.forget(owner)
      this.#deleteMember.run(other.id)
    }
    this.#others = this.#others.filter(other => !dead.includes(other))
    return dead.length > 0
  }

  /** A consumer that ended without giving back what it held. */
  forget(owner: number): void {
    this.#desk.ledger.free(owner, this.#desk.now)
    this.#freeLeases.run(this.#desk.store.head, owner)
    this.#deleteConsumer.run(owner)
  }

  leave(owner: number): void {
    this.#deleteConsumer.run(owner)
  }

  /** This driver closes. */
  resign(): void {
    this.#deleteMember.run(this.id)
  }

  /** A beat counts from when it is heard: the wall clock may be set between two. */
  #hear({ id, until }: Member): Heard {
    const known = this.#heard.get(id)
    if (known?.until === until) return known
    const left = until - this.#desk.now
    const isOver = left < 0 && !known
    const lease = isOver ? 0 : left > 0 ? Math.min(left, longestLease * this.#leaseMs) : this.#leaseMs
    return { until, ends: performance.now() + lease }
  }

  #isAlive(member: Member): boolean {
    if (this.#heard.get(member.id)!.ends < performance.now()) return false
    return member.host !== host || startOf(member.pid) === member.started
  }
}
