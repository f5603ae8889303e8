import { sqlFor } from '../../../bus/sql.ts'
import { balanceShards } from '../../shared/shards.ts'
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
    const sql = sqlFor(context.store.db)
    this.#list = sql<LeaseRow>(
      'SELECT shard, owner, next, suspect AS possiblyDeliveredUpTo FROM leases WHERE grp = ? ORDER BY shard',
    )
    this.#acquire = sql('UPDATE leases SET owner = ? WHERE grp = ? AND shard = ?')
    this.#release = sql(`UPDATE leases SET owner = NULL, next = ?, suspect = 0
      WHERE grp = ? AND shard = ? AND owner = ?`)
  }

  rebalance(cursor: ShardedCursor): void {
    const owners = this.#members.ownersOf(cursor.group)
    const leases = this.#list.all(cursor.group)
    const wanted = balanceShards(
      cursor.owner,
      owners,
      leases.map(({ owner }) => owner),
    )
    for (const [i, { shard, owner }] of leases.entries()) {
      if (!cursor.shards.has(shard) || wanted[i] === cursor.owner) continue
      if (owner === cursor.owner) this.release(cursor, shard)
      else cursor.loseShard(shard)
    }
    for (const [i, { shard, owner, next, possiblyDeliveredUpTo }] of leases.entries()) {
      if (wanted[i] !== cursor.owner || owner === cursor.owner) continue
      // Lost and free again: what it knew of the shard is outdated.
      if (cursor.shards.has(shard)) cursor.loseShard(shard)
      this.#acquire.run(cursor.owner, cursor.group, shard)
      cursor.acquireShard(shard, next, possiblyDeliveredUpTo)
    }
  }

  release(cursor: ShardedCursor, shard: number): void {
    this.#release.run(cursor.lowWaterMark(shard), cursor.group, shard, cursor.owner)
    cursor.loseShard(shard)
  }
}
