/**
 * The owners of all shards as one member wants them: its even share, keeping the shards that it has, taking only those that no living
 * member has. `members` in an order that all members see. `null`: no owner. When each member has applied its own view, the
 * shards are spread evenly.
 */
export function balanceShards<T>(me: T, members: readonly T[], owners: readonly (T | null)[]): (T | null)[] {
  const rank = members.indexOf(me)
  if (rank < 0) return [...owners]
  const share = Math.floor(owners.length / members.length) + (rank < owners.length % members.length ? 1 : 0)
  let owned = 0
  const kept = owners.map(owner => (owner === me && owned++ >= share ? null : owner))
  owned = Math.min(owned, share)
  return kept.map((owner, shard) => {
    // What was given up just now is for others.
    const isFree = owner === null ? owners[shard] !== me : !members.includes(owner)
    if (!isFree || owned >= share) return owner
    owned++
    return me
  })
}

/**
 * The owners of all shards when each member has applied its view, for a driver in which one place decides for all members. Twice: what a
 * member gives up in the first round is taken in the second.
 */
export function spreadShards<T>(members: readonly T[], owners: readonly (T | null)[]): (T | null)[] {
  return [...members, ...members].reduce((spread, member) => balanceShards(member, members, spread), [...owners])
}
