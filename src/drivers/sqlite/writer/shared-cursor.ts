import { sqlFor } from '../../../bus/sql.ts'
import { compileFilter, type Filter } from '../../../pattern.ts'
import { type Settlement, sinceEventTime, sinceNow } from '../protocol.ts'
import type { DueDelivery } from './claim-store.ts'
import { type GroupCursor, scanBudget, scanPage, type WriterContext } from './group-cursor.ts'
import type { OfferedEvent } from './log-store.ts'

interface LocalMember {
  readonly consumer: number
  readonly owner: number
  readonly maxInFlight: number
  inFlight: number
  isPaused: boolean
}

/**
 * A shared group. Each event is claimed for a local member with room, by a row in the transaction that moves `next` past it. An event
 * that finds room is claimed in the transaction that stores it.
 */
export class SharedCursor implements GroupCursor {
  readonly group: string
  readonly filter: Filter
  readonly matches
  limit = Infinity
  readonly #members = new Map<number, LocalMember>()
  /** The members in the order in which they take turns. */
  #rotation: LocalMember[] = []
  /** Claims of all members in all processes. */
  #inFlight = 0
  /** Everything before is claimed or does not match. */
  #next: number
  #saved: number
  #isCaughtUp = false
  #due: number
  #hasClaimed = false
  readonly #context: WriterContext
  readonly #loadNext
  readonly #save

  constructor(context: WriterContext, group: string, filter: Filter) {
    this.#context = context
    this.group = group
    this.filter = filter
    this.matches = compileFilter(filter)
    const sql = sqlFor(context.store.db)
    this.#loadNext = sql<{ next: number }>('SELECT next FROM groups WHERE name = ?')
    this.#save = sql('UPDATE groups SET next = max(next, ?) WHERE name = ?')
    this.#next = this.#saved = this.#loadNext.get(group)!.next
    this.#due = context.claims.nextDue(group)
    this.#loadInFlight()
  }

  join(consumer: number, owner: number, maxInFlight: number): void {
    this.#members.set(consumer, { consumer, owner, maxInFlight, inFlight: 0, isPaused: false })
    this.#rotation = [...this.#members.values()]
  }

  pause(consumer: number): void {
    this.#members.get(consumer)!.isPaused = true
  }

  /** Gives back what a member holds. */
  leave(consumer: number): void {
    const { owner, inFlight } = this.#members.get(consumer)!
    this.remove(consumer)
    this.#inFlight -= inFlight
    this.#context.claims.giveBackAll(owner, this.#context.now)
    this.dueNow()
  }

  /** Removes a member whose subscription, or whose end, was in a lost transaction. */
  remove(consumer: number): void {
    this.#members.delete(consumer)
    this.#rotation = [...this.#members.values()]
  }

  get alarm(): number {
    return this.#due < Infinity && this.#nextWithCapacity() ? this.#due : Infinity
  }

  offer({ pos, shard, op, row, json }: OfferedEvent): void {
    if (!this.#isCaughtUp || pos < this.#next) return
    const member = this.#nextWithCapacity()
    if (!member) {
      this.#isCaughtUp = false
      this.#next = pos
      return
    }
    this.#claim(member, pos, shard)
    const { consumer } = member
    this.#context.reply.deliveries.push({ consumer, attempt: 1, since: sinceNow, position: pos, op, row, json, memo: null }) // biome-ignore format: one delivery
  }

  fill(): boolean {
    const hasDispatchedDue = this.#due > this.#context.now || this.#dispatchDue()
    return hasDispatchedDue && !this.#isCaughtUp && this.#scan()
  }

  settle({ consumer, position: pos, outcome }: Settlement): void {
    const claim = this.#unclaim(consumer, pos)
    if (!claim || outcome.kind === 'done') return
    const { claims, now } = this.#context
    const { shard, attempts } = claim
    this.#due = Math.min(this.#due, claims.defer(this.group, { pos, shard, attempts }, outcome, now))
  }

  /** The consumer paused before it received the delivery. */
  giveBack(consumer: number, pos: number): void {
    const claim = this.#unclaim(consumer, pos)
    if (!claim) return
    const { claims, now } = this.#context
    const claimed = { pos, shard: claim.shard, attempts: claim.attempts - 1 }
    this.#due = Math.min(this.#due, claims.giveBack(this.group, claimed, claim.memo, now))
  }

  dueNow(): void {
    this.#due = Math.min(this.#due, this.#context.now)
  }

  fallBehind(): void {
    if (this.#isCaughtUp) this.#next = Math.max(this.#next, this.#context.store.head + 1)
    this.#isCaughtUp = false
  }

  reload(): void {
    this.#next = Math.max(this.#next, this.#loadNext.get(this.group)!.next)
    this.#due = this.#context.claims.nextDue(this.group)
    this.#loadInFlight()
  }

  reset(): void {
    this.#next = this.#saved = this.#loadNext.get(this.group)!.next
    this.#isCaughtUp = this.#hasClaimed = false
    this.#due = this.#context.claims.nextDue(this.group)
    this.#loadInFlight()
  }

  persist(force: boolean): void {
    if (!this.#hasClaimed && !force) return
    const next = this.#isCaughtUp ? this.#context.store.head + 1 : this.#next
    if (next > this.#saved) this.#save.run(next, this.group)
    this.#saved = next
    this.#hasClaimed = false
  }

  #claim(member: LocalMember, pos: number, shard: number): void {
    this.#context.claims.claim(pos, this.group, shard, member.owner)
    this.#countClaim(member)
    this.#next = pos + 1
    this.#hasClaimed = true
  }

  #countClaim(member: LocalMember): void {
    member.inFlight++
    this.#inFlight++
  }

  #unclaim(consumer: number, pos: number) {
    const member = this.#members.get(consumer)
    const claim = member && this.#context.claims.unclaim(pos, this.group, member.owner)
    if (!claim) return undefined
    member.inFlight--
    this.#inFlight--
    return claim
  }

  #nextWithCapacity(): LocalMember | undefined {
    if (this.#inFlight >= this.limit) return undefined
    for (let i = 0; i < this.#rotation.length; i++) {
      const member = this.#rotation[0]!
      if (this.#rotation.length > 1) this.#rotation.push(this.#rotation.shift()!)
      if (!member.isPaused && member.inFlight < member.maxInFlight) return member
    }
    return undefined
  }

  /** False if there was not enough room. */
  #dispatchDue(): boolean {
    const { claims, now, reply } = this.#context
    for (let page = this.#duePage(); page.length; page = this.#duePage()) {
      for (const delivery of page) {
        const member = this.#nextWithCapacity()
        if (!member) return false
        claims.redeliver(delivery, this.group, member.owner)
        this.#countClaim(member)
        const { consumer } = member
        const { attempts, due: since, pos: position, event: json, memo } = delivery
        reply.deliveries.push({ consumer, attempt: attempts + 1, since, position, op: -1, row: 0, json, memo })
      }
      if (page.length < scanPage) break
    }
    this.#due = claims.nextDue(this.group)
    return this.#due > now
  }

  #duePage(): DueDelivery[] {
    return this.#nextWithCapacity() ? this.#context.claims.due(this.group, this.#context.now, scanPage) : []
  }

  /** True if the budget was used up before the log or the room. */
  #scan(): boolean {
    const { store, reply } = this.#context
    for (let budget = scanBudget; budget > 0; budget -= scanPage) {
      if (!this.#nextWithCapacity()) return false
      const rows = store.scan(this.#next - 1, scanPage)
      for (const row of rows) {
        if (this.matches(row)) {
          const member = this.#nextWithCapacity()
          if (!member) return false
          this.#claim(member, row.pos, row.shard)
          const { consumer } = member
          const json = store.event(row.pos)
          reply.deliveries.push({ consumer, attempt: 1, since: sinceEventTime, position: row.pos, op: -1, row: 0, json, memo: null }) // biome-ignore format: one delivery
        }
        this.#next = row.pos + 1
      }
      if (rows.length < scanPage) {
        this.#isCaughtUp = true
        return false
      }
    }
    return true
  }

  #loadInFlight(): void {
    this.#inFlight = 0
    const byOwner = new Map<number, number>()
    for (const { owner, n } of this.#context.claims.countByOwner(this.group)) {
      this.#inFlight += n
      byOwner.set(owner, n)
    }
    for (const member of this.#members.values()) member.inFlight = byOwner.get(member.owner) ?? 0
  }
}
