import { sqlFor } from '../../../bus/sql.ts'
import { compileFilter, type Filter } from '../../../pattern.ts'
import { type Settlement, type ShardProgress, sinceEventTime, sinceNow, type SubscribeOp } from '../protocol.ts'
import { type GroupCursor, scanBudget, scanPage, type WriterContext } from './group-cursor.ts'
import type { OfferedEvent } from './log-store.ts'

interface OwnedShard {
  /** Each acquisition has a new one, which tells its deliveries from those before a loss. */
  readonly fencingToken: number
  /** Positions up to here were looked at already. */
  skipTo: number
  /** An owner that died may have delivered events up to here. */
  readonly possiblyDeliveredUpTo: number
  /** The low-water mark on disk. */
  saved: number
}

interface InFlightEvent {
  readonly pos: number
  readonly shard: number
  readonly attempt: number
  /** It is a redelivery, and has a row among the claims. */
  readonly isClaimed: boolean
  /** It was settled before the cursor reached it, and is kept so that the scan skips it. */
  isSettled: boolean
}

/** The low-water marks are stored after this many settlements, with the next transaction, or after this time. */
const maxUnsavedSettlements = 1_000
const maxSaveDelayMs = 100

let lastFencingToken = 0

/**
 * One consumer of a sharded group. Deliveries in flight are kept in memory only. The log has a low-water mark for each shard, stored
 * now and then; after a crash the events above it are delivered another time, as claims, which count further attempts.
 */
export class ShardedCursor implements GroupCursor {
  readonly group: string
  /** What this consumer itself asked for. */
  readonly filter: Filter
  matches
  readonly consumer: number
  readonly owner: number
  readonly shards = new Map<number, OwnedShard>()
  readonly #inFlight = new Map<string, InFlightEvent>()
  /** Without those that are settled. */
  #inFlightCount = 0
  readonly #maxInFlight: number
  #isCaughtUp = true
  #reportedCaughtUp = false
  #cursor = 0
  #due = Infinity
  #isPaused = false
  #unsavedSettlements = 0
  #unsavedSince = Infinity
  readonly #context: WriterContext
  readonly #save
  readonly #ownLeases

  constructor(context: WriterContext, owner: number, { consumer, group, filter, maxInFlight }: SubscribeOp) {
    this.#context = context
    this.consumer = consumer
    this.owner = owner
    this.group = group
    this.filter = filter
    this.matches = compileFilter(filter)
    this.#maxInFlight = maxInFlight
    const sql = sqlFor(context.store.db)
    this.#save = sql('UPDATE leases SET next = ? WHERE grp = ? AND shard = ? AND owner = ?')
    this.#ownLeases = sql<{ shard: number; next: number }>('SELECT shard, next FROM leases WHERE grp = ? AND owner = ?')
    this.#reportCaughtUp()
  }

  get alarm(): number {
    return this.#freeSlots > 0 ? this.#due : Infinity
  }

  /** When the low-water marks are stored even if nothing else is. */
  get saveAt(): number {
    return this.#unsavedSince + maxSaveDelayMs
  }

  /** `filter`: what all consumers of the group ask for together. */
  setGroupFilter(filter: Filter): void {
    this.matches = compileFilter(filter)
  }

  pause(): void {
    this.#isPaused = true
  }

  acquireShard(shard: number, next: number, possiblyDeliveredUpTo: number): void {
    const position = this.#position
    if (next - 1 < position) {
      for (const other of this.shards.values()) other.skipTo = Math.max(other.skipTo, position)
      this.#cursor = next - 1
      this.#isCaughtUp = false
    }
    const fencingToken = ++lastFencingToken
    this.shards.set(shard, { fencingToken, skipTo: next - 1, possiblyDeliveredUpTo, saved: next })
    this.#context.reply.acquired.push({ consumer: this.consumer, shard, fencingToken })
    this.dueNow()
    this.#reportCaughtUp()
  }

  isValid(fencingToken: number): boolean {
    for (const shard of this.shards.values()) if (shard.fencingToken === fencingToken) return true
    return false
  }

  loseShard(shard: number): void {
    this.shards.delete(shard)
    const { reply } = this.#context
    const lostPositions = new Set<number>()
    for (const [id, event] of this.#inFlight) {
      if (event.shard !== shard) continue
      this.#inFlight.delete(id)
      lostPositions.add(event.pos)
      if (!event.isSettled) this.#inFlightCount--
      if (event.isClaimed) this.#giveBack(event)
    }
    reply.deliveries = reply.deliveries.filter(
      ({ consumer, position }) => consumer !== this.consumer || !lostPositions.has(position),
    )
    reply.lost.push({ consumer: this.consumer, shard })
  }

  /**
   * An event was delivered early, but another process had stored another event under its id. All deliveries of the shard may depend
   * on it: they become void, and the log is read under a new fencing token.
   */
  invalidateEarly({ shard, earlyToken }: OfferedEvent): void {
    const owned = this.shards.get(shard)
    if (owned?.fencingToken !== earlyToken) return
    const next = this.lowWaterMark(shard)
    this.loseShard(shard)
    this.acquireShard(shard, next, owned.possiblyDeliveredUpTo)
    this.shards.get(shard)!.saved = owned.saved
  }

  offer(event: OfferedEvent): void {
    const owned = this.shards.get(event.shard)
    if (!owned) return
    const { id, pos, shard, op, row, json } = event
    if (event.earlyToken === owned.fencingToken) return this.#track(id, pos, shard, 1)
    if (!this.#isCaughtUp || pos <= owned.skipTo) return
    if (this.#freeSlots <= 0) {
      this.#cursor = pos - 1
      this.#isCaughtUp = false
      this.#reportCaughtUp()
      return
    }
    this.#track(id, pos, shard, 1)
    const { consumer } = this
    this.#context.reply.deliveries.push({ consumer, attempt: 1, since: sinceNow, position: pos, op, row, json, memo: null }) // biome-ignore format: one delivery
  }

  fill(): boolean {
    if (this.#due <= this.#context.now) this.#dispatchDue()
    return !this.#isCaughtUp && this.#scan()
  }

  settle({ eventId, fencingToken, outcome }: Settlement): void {
    const event = this.#inFlight.get(eventId)
    if (!event || event.isSettled) return
    const { pos, shard, attempt, isClaimed } = event
    const owned = this.shards.get(shard)!
    if (owned.fencingToken !== fencingToken) return
    const { claims, now } = this.#context
    this.#inFlightCount--
    if (isClaimed) claims.unclaim(pos, this.group, this.owner)
    if (outcome.kind !== 'done')
      this.#due = Math.min(this.#due, claims.defer(this.group, { pos, shard, attempts: attempt }, outcome, now))
    if (pos > this.#scannedUpTo(owned)) event.isSettled = true
    else this.#inFlight.delete(eventId)
    this.#unsavedSettlements++
    this.#unsavedSince = Math.min(this.#unsavedSince, now)
  }

  dueNow(): void {
    this.#due = Math.min(this.#due, this.#context.now)
  }

  fallBehind(): void {
    if (this.#isCaughtUp) this.#cursor = this.#context.store.head
    this.#isCaughtUp = false
    this.#reportCaughtUp()
  }

  /** After a lost transaction, once the log can be written: redeliveries that were in flight are due. */
  redeliver(): void {
    this.#context.claims.giveBackAll(this.owner, this.#context.now)
    this.dueNow()
  }

  reload(): void {
    this.dueNow()
  }

  reset(): void {
    this.#inFlight.clear()
    this.#inFlightCount = 0
    this.shards.clear()
    this.#isCaughtUp = true
    this.#reportedCaughtUp = false
    for (const { shard, next } of this.#ownLeases.all(this.group, this.owner))
      this.acquireShard(shard, next, this.#context.store.head)
    this.#reportCaughtUp()
  }

  persist(force: boolean): void {
    const isDue = this.#unsavedSettlements >= maxUnsavedSettlements || this.#context.now >= this.saveAt
    if (!force && !isDue) return
    for (const [shard, next] of this.#lowWaterMarks()) {
      const owned = this.shards.get(shard)!
      if (next === owned.saved) continue
      this.#save.run(next, this.group, shard, this.owner)
      owned.saved = next
    }
    this.#unsavedSettlements = 0
    this.#unsavedSince = Infinity
  }

  /** The first position of a shard that is not settled or deferred. */
  lowWaterMark(shard: number): number {
    return this.#lowWaterMarks().get(shard)!
  }

  progress(): ShardProgress[] {
    const inFlight = new Map<number, number>()
    for (const { shard, isSettled, isClaimed } of this.#inFlight.values())
      if (!isSettled && !isClaimed) inFlight.set(shard, (inFlight.get(shard) ?? 0) + 1)
    return [...this.shards].map(([shard, owned]) => ({
      group: this.group,
      shard,
      cursor: this.#scannedUpTo(owned),
      inFlight: inFlight.get(shard) ?? 0,
    }))
  }

  get #position(): number {
    return this.#isCaughtUp ? this.#context.store.head : this.#cursor
  }

  #scannedUpTo({ skipTo }: OwnedShard): number {
    return Math.max(skipTo, this.#position)
  }

  get #freeSlots(): number {
    return this.#isPaused ? 0 : this.#maxInFlight - this.#inFlightCount
  }

  #track(id: string, pos: number, shard: number, attempt: number, isClaimed = false): void {
    this.#inFlight.set(id, { pos, shard, attempt, isClaimed, isSettled: false })
    this.#inFlightCount++
  }

  #giveBack({ pos, shard, attempt }: InFlightEvent): void {
    const { claims, now } = this.#context
    const claim = claims.unclaim(pos, this.group, this.owner)
    if (claim) claims.giveBack(this.group, { pos, shard, attempts: attempt }, claim.memo, now)
  }

  #lowWaterMarks(): Map<number, number> {
    const marks = new Map<number, number>()
    for (const [shard, owned] of this.shards) marks.set(shard, this.#scannedUpTo(owned) + 1)
    for (const { pos, shard, isClaimed } of this.#inFlight.values())
      if (!isClaimed && pos < marks.get(shard)!) marks.set(shard, pos)
    return marks
  }

  #dispatchDue(): void {
    const { claims, now, reply } = this.#context
    const { consumer, group } = this
    const limit = Math.min(this.#freeSlots, scanPage)
    if (limit <= 0) return
    const page = claims.dueInShards(group, this.shards.keys(), now, limit)
    for (const delivery of page) {
      const { eventId, pos, shard, due: since, event: json, memo } = delivery
      const attempt = delivery.attempts + 1
      claims.redeliver(delivery, group, this.owner)
      this.#track(eventId, pos, shard, attempt, true)
      reply.deliveries.push({ consumer, attempt, since, position: pos, op: -1, row: 0, json, memo })
    }
    if (page.length < limit) this.#due = claims.nextDueInShards(group, this.shards.keys())
  }

  #scan(): boolean {
    const { store } = this.#context
    for (let budget = scanBudget; budget > 0; budget -= scanPage) {
      if (this.#freeSlots <= 0) return false
      const rows = store.scan(this.#cursor, scanPage)
      for (const row of rows) {
        if (this.#shouldDispatch(row)) {
          if (this.#freeSlots <= 0) return false
          this.#dispatch(row.id, row.pos, row.shard)
        }
        this.#cursor = row.pos
      }
      if (rows.length < scanPage) {
        this.#isCaughtUp = true
        this.#reportCaughtUp()
        return false
      }
    }
    return true
  }

  #shouldDispatch(row: { id: string; pos: number; type: string; target: string | null; shard: number }): boolean {
    const owned = this.shards.get(row.shard)
    if (!owned || row.pos <= owned.skipTo || !this.matches(row)) return false
    const event = this.#inFlight.get(row.id)
    if (event?.isSettled) this.#inFlight.delete(row.id)
    return !event && !this.#context.claims.has(row.pos, this.group)
  }

  #dispatch(id: string, position: number, shard: number): void {
    const { consumer } = this
    const { reply, store, claims } = this.#context
    const isRepeated = position <= this.shards.get(shard)!.possiblyDeliveredUpTo
    const attempt = isRepeated ? 2 : 1
    // It has a row from now on, so that the next death of an owner counts too.
    if (isRepeated) claims.claim(position, this.group, shard, this.owner, attempt)
    this.#track(id, position, shard, attempt, isRepeated)
    const json = store.event(position)
    reply.deliveries.push({ consumer, attempt, since: sinceEventTime, position, op: -1, row: 0, json, memo: null })
  }

  #reportCaughtUp(): void {
    if (this.#reportedCaughtUp === this.#isCaughtUp) return
    this.#reportedCaughtUp = this.#isCaughtUp
    this.#context.reply.caughtUp.push({ consumer: this.consumer, isCaughtUp: this.#isCaughtUp })
  }
}
