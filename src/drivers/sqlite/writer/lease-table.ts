import { prepareSql } from '../schema.ts'
import type { WriterContext } from './group-cursor.ts'
import type { MemberTable } from './member-table.ts'
import type { ShardedCursor } from './sharded-cursor.ts'

interface LeaseRow {
  shard: number
  owner: number | null
  next: number
  possiblyDeliveredUpTo: number
}

/** Spreads the shards of a group evenly over its consumers: each acquires free shards up to its share. */
export class LeaseTable {
  readonly #members: MemberTable
  readonly #list
  readonly #acquire
  readonly #release

  constructor(context: WriterContext, members: MemberTable) {
    this.#members = members
    const { db } = context.store
    this.#list = prepareSql<LeaseRow>(
      db,
      'SELECT shard, owner, next, suspect AS possiblyDeliveredUpTo FROM leases WHERE grp = ? ORDER BY shard',
    )
    this.#acquire = prepareSql(db, 'UPDATE leases SET owner = ? WHERE grp = ? AND shard = ?')
    this.#release = prepareSql(
      db,
      `UPDATE leases SET owner = NULL, next = ?, suspect = 0
      WHERE grp = ? AND shard = ? AND owner = ?`,
    )
  }

  rebalance(cursor: ShardedCursor): void {
    const owners = this.#members.ownersOf(cursor.group)
    const leases = this.#list.all(cursor.group)
    const extra = leases.length % owners.length
    const share = Math.floor(leases.length / owners.length) + (owners.indexOf(cursor.owner) < extra ? 1 : 0)
    for (const { shard, owner } of leases)
      if (owner !== cursor.owner && cursor.shards.has(shard)) cursor.loseShard(shard)
    for (const shard of [...cursor.shards.keys()].slice(share)) this.release(cursor, shard)
    for (const { shard, owner, next, possiblyDeliveredUpTo } of leases) {
      if (cursor.shards.size >= share) break
      if (owner === cursor.owner || (owner !== null && owners.includes(owner))) continue
      this.#acquire.run(cursor.owner, cursor.group, shard)
      cursor.acquireShard(shard, next, possiblyDeliveredUpTo)
    }
  }

  release(cursor: ShardedCursor, shard: number): void {
    this.#release.run(cursor.lowWaterMark(shard), cursor.group, shard, cursor.owner)
    cursor.loseShard(shard)
  }
}
