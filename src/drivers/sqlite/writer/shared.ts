import { compileFilter, type Filter } from '../../../pattern.ts'
import type { Settlement } from '../protocol.ts'
import { prepare } from '../schema.ts'
import { type Desk, type Intake, scanBudget, scanPage } from './intake.ts'
import type { Due } from './ledger.ts'
import type { Row } from './store.ts'

interface Member {
  readonly consumer: number
  readonly owner: number
  readonly window: number
  held: number
  paused: boolean
}

/**
 * A shared group: each event is claimed, by a row in the transaction that moves `next` past it, for one of the local
 * members with room. An event that finds room is claimed in the very transaction that stores it.
 */
export class SharedGroup implements Intake {
  readonly group: string
  readonly filter: Filter
  readonly matches
  readonly members = new Map<number, Member>()
  limit: number
  /** Claims of all members in all processes. */
  held = 0
  /** Everything below is claimed or does not match. */
  next: number
  caughtUp = false
  #due: number
  #saved: number
  #claimed = false
  #turn: Member[] = []
  readonly #desk: Desk
  readonly #load
  readonly #save

  constructor(desk: Desk, group: string, filter: Filter, limit: number) {
    this.#desk = desk
    this.group = group
    this.filter = filter
    this.matches = compileFilter(filter)
    this.limit = limit
    this.#load = prepare<{ next: number }>(desk.store.db, 'SELECT next FROM groups WHERE name = ?')
    this.#save = prepare(desk.store.db, 'UPDATE groups SET next = max(next, ?) WHERE name = ?')
    this.next = this.#saved = this.#load.get(group)!.next
    this.#due = desk.ledger.nextDue(group)
    this.#count()
  }

  join(consumer: number, owner: number, window: number): void {
    this.members.set(consumer, { consumer, owner, window, held: 0, paused: false })
    this.#turn = [...this.members.values()]
  }

  pause(consumer: number): void {
    this.members.get(consumer)!.paused = true
  }

  leave(consumer: number): void {
    const member = this.members.get(consumer)!
    this.remove(consumer)
    this.held -= member.held
    this.#desk.ledger.free(member.owner, this.#desk.now)
    this.#due = Math.min(this.#due, this.#desk.now)
  }

  /** A member whose subscription was lost, or whose end was. */
  remove(consumer: number): void {
    this.members.delete(consumer)
    this.#turn = [...this.members.values()]
  }

  get alarm(): number {
    return this.#due < Infinity && this.#withRoom() ? this.#due : Infinity
  }

  offer(row: Row): void {
    if (!this.caughtUp || row.pos < this.next) return
    const member = this.#withRoom()
    if (!member) {
      this.caughtUp = false
      this.next = row.pos
      return
    }
    this.#claim(member, row.pos, row.shard)
    const { op, index, json } = row
    this.#desk.outbox.handouts.push([member.consumer, 1, 0, row.pos, op, op < 0 ? json : index])
  }

  fill(): boolean {
    const served = this.#due > this.#desk.now || this.#serveDue()
    return served && !this.caughtUp && this.#scan()
  }

  settle(settlement: Settlement): void {
    const member = this.members.get(settlement[0])
    if (!member) return
    const claim = this.#desk.ledger.unclaim(settlement[2], this.group, member.owner)
    if (!claim) return
    member.held--
    this.held--
    if (settlement[3] !== 'done') this.#put(settlement, claim)
  }

  /** A hand-out that its consumer did not take, because it had paused meanwhile. */
  giveBack(consumer: number, pos: number): void {
    const member = this.members.get(consumer)
    const claim = member && this.#desk.ledger.unclaim(pos, this.group, member.owner)
    if (!claim) return
    member.held--
    this.held--
    this.#put([consumer, '', pos, 'retry', 0, 'given back', null, claim.memo], {
      ...claim,
      attempts: claim.attempts - 1,
    })
  }

  /** Deliveries set aside have become due. */
  hurry(): void {
    this.#due = Math.min(this.#due, this.#desk.now)
  }

  /** More was written by others than is worth routing from memory. */
  goBehind(): void {
    if (this.caughtUp) this.next = Math.max(this.next, this.#desk.store.head + 1)
    this.caughtUp = false
  }

  reload(): void {
    this.next = Math.max(this.next, this.#load.get(this.group)!.next)
    this.#due = this.#desk.ledger.nextDue(this.group)
    this.#count()
  }

  reset(): void {
    this.next = this.#saved = this.#load.get(this.group)!.next
    this.caughtUp = this.#claimed = false
    this.#due = this.#desk.ledger.nextDue(this.group)
    this.#count()
  }

  persist(idle: boolean): void {
    if (!this.#claimed && !idle) return
    const next = this.caughtUp ? this.#desk.store.head + 1 : this.next
    if (next > this.#saved) this.#save.run(next, this.group)
    this.#saved = next
    this.#claimed = false
  }

  #put(settlement: Settlement, claim: { shard: number; attempts: number }): void {
    const { ledger, now } = this.#desk
    const due = ledger.put(settlement[2], this.group, claim.shard, claim.attempts, now, settlement)
    this.#due = Math.min(this.#due, due)
  }

  #claim(member: Member, pos: number, shard: number): void {
    this.#desk.ledger.claim(pos, this.group, shard, member.owner, 1)
    this.#hold(member)
    this.next = pos + 1
    this.#claimed = true
  }

  #hold(member: Member): void {
    member.held++
    this.held++
  }

  /** Members take turns. */
  #withRoom(): Member | undefined {
    if (this.held >= this.limit) return undefined
    for (let i = 0; i < this.#turn.length; i++) {
      const member = this.#turn[0]!
      if (this.#turn.length > 1) this.#turn.push(this.#turn.shift()!)
      if (!member.paused && member.held < member.window) return member
    }
    return undefined
  }

  /** False when room ran out first. */
  #serveDue(): boolean {
    const { ledger, now } = this.#desk
    for (let page = this.#page(); page.length; page = this.#page()) {
      for (const due of page) {
        const member = this.#withRoom()
        if (!member) return false
        ledger.redeliver(due, this.group, member.owner)
        this.#hold(member)
        this.#desk.outbox.handouts.push([member.consumer, due.attempts + 1, due.due, due.pos, -1, due.event, due.memo])
      }
      if (page.length < scanPage) break
    }
    this.#due = ledger.nextDue(this.group)
    return this.#due > now
  }

  #page(): Due[] {
    return this.#withRoom() ? this.#desk.ledger.due(this.group, this.#desk.now, scanPage) : []
  }

  /** True when the budget ran out first. */
  #scan(): boolean {
    const { store, outbox } = this.#desk
    for (let budget = scanBudget; budget > 0; budget -= scanPage) {
      if (!this.#withRoom()) return false
      const rows = store.scan(this.next - 1, scanPage)
      for (const row of rows) {
        if (this.matches(row)) {
          const member = this.#withRoom()
          if (!member) return false
          this.#claim(member, row.pos, row.shard)
          outbox.handouts.push([member.consumer, 1, -1, row.pos, -1, store.event(row.pos)])
        }
        this.next = row.pos + 1
      }
      if (rows.length < scanPage) {
        this.caughtUp = true
        return false
      }
    }
    return true
  }

  #count(): void {
    this.held = 0
    const byOwner = new Map<number, number>()
    for (const { owner, n } of this.#desk.ledger.counts(this.group)) {
      this.held += n
      byOwner.set(owner, n)
    }
    for (const member of this.members.values()) member.held = byOwner.get(member.owner) ?? 0
  }
}
