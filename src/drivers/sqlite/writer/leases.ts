import { prepare } from '../schema.ts'
import type { Desk } from './intake.ts'
import type { Members } from './members.ts'
import type { ShardedConsumer } from './sharded.ts'

interface Lease {
  shard: number
  owner: number | null
  next: number
  suspect: number
}

/** Spreads the shards of a group evenly over its consumers: each takes what is free up to its share. */
export class Leases {
  readonly #members: Members
  readonly #list
  readonly #take
  readonly #release

  constructor(desk: Desk, members: Members) {
    this.#members = members
    const { db } = desk.store
    this.#list = prepare<Lease>(db, 'SELECT shard, owner, next, suspect FROM leases WHERE grp = ? ORDER BY shard')
    this.#take = prepare(db, 'UPDATE leases SET owner = ? WHERE grp = ? AND shard = ?')
    this.#release = prepare(
      db,
      `UPDATE leases SET owner = NULL, next = ?, suspect = 0
      WHERE grp = ? AND shard = ? AND owner = ?`,
    )
  }

  rebalance(consumer: ShardedConsumer): void {
    const owners = this.#members.ownersOf(consumer.group)
    const leases = this.#list.all(consumer.group)
    const extra = leases.length % owners.length
    const share = Math.floor(leases.length / owners.length) + (owners.indexOf(consumer.owner) < extra ? 1 : 0)
    for (const { shard, owner } of leases)
      if (owner !== consumer.owner && consumer.shards.has(shard)) consumer.lose(shard)
    for (const shard of [...consumer.shards.keys()].slice(share)) this.release(consumer, shard)
    for (const { shard, owner, next, suspect } of leases) {
      if (consumer.shards.size >= share) break
      if (owner === consumer.owner || (owner !== null && owners.includes(owner))) continue
      this.#take.run(consumer.owner, consumer.group, shard)
      consumer.win(shard, next, suspect)
    }
  }

  release(consumer: ShardedConsumer, shard: number): void {
    this.#release.run(consumer.lowWater(shard), consumer.group, shard, consumer.owner)
    consumer.lose(shard)
  }
}
