import { compileFilter, type Filter } from '../../../pattern.ts'
import type { LocalShard, Settlement } from '../protocol.ts'
import { prepare } from '../schema.ts'
import { type Desk, type Intake, scanBudget, scanPage } from './intake.ts'
import type { Row } from './store.ts'

interface Shard {
  /** Given anew with every win, so that what was handed out before a loss can be told apart. */
  readonly ticket: number
  /** Positions up to here were looked at already. */
  skipTo: number
  /** Positions up to here may have been handed out before, by an owner that died. */
  suspect: number
  /** The low-water on disk. */
  saved: number
}

interface InHand {
  readonly pos: number
  readonly shard: number
  readonly attempt: number
  /** It has a row among the claims: a redelivery. */
  readonly claimed: boolean
  /** Settled before the cursor reached it; kept so that the scan knows. */
  settled: boolean
}

/** Settlements after which the low-water is written down in the next transaction, and the time after which it is. */
const settlesPerSave = 1_000
const saveAfter = 100

let lastTicket = 0

/**
 * One consumer of a sharded group. What is in hand is known in memory only: on disk there is a low-water for each
 * shard, written now and then, and after a crash the events above it are handed out again.
 */
export class ShardedConsumer implements Intake {
  readonly group: string
  /** What this consumer asked for itself. */
  readonly filter: Filter
  matches
  readonly consumer: number
  readonly owner: number
  readonly shards = new Map<number, Shard>()
  #inHand = new Map<string, InHand>()
  #held = 0
  readonly #window: number
  #caughtUp = true
  #told = false
  #cursor = 0
  #due = Infinity
  #paused = false
  #settles = 0
  #unsavedSince = Infinity
  readonly #desk: Desk
  readonly #save
  readonly #leases

  constructor(desk: Desk, consumer: number, owner: number, group: string, filter: Filter, window: number) {
    this.#desk = desk
    this.consumer = consumer
    this.owner = owner
    this.group = group
    this.filter = filter
    this.matches = compileFilter(filter)
    this.#window = window
    this.#save = prepare(desk.store.db, 'UPDATE leases SET next = ? WHERE grp = ? AND shard = ? AND owner = ?')
    this.#leases = prepare<{ shard: number; next: number }>(
      desk.store.db,
      'SELECT shard, next FROM leases WHERE grp = ? AND owner = ?',
    )
    this.#tell()
  }

  get alarm(): number {
    return this.#room > 0 ? this.#due : Infinity
  }

  /** When the low-water should be written even if nothing else is. */
  get saveAt(): number {
    return this.#unsavedSince + saveAfter
  }

  /** From now on takes what any consumer of the group asks for. */
  widen(filter: Filter): void {
    this.matches = compileFilter(filter)
  }

  pause(): void {
    this.#paused = true
  }

  win(shard: number, next: number, suspect: number): void {
    const position = this.#position
    if (next - 1 < position) {
      for (const other of this.shards.values()) other.skipTo = Math.max(other.skipTo, position)
      this.#cursor = next - 1
      this.#caughtUp = false
    }
    const ticket = ++lastTicket
    this.shards.set(shard, { ticket, skipTo: next - 1, suspect, saved: next })
    this.#desk.outbox.won.push([this.consumer, shard, ticket])
    this.#due = Math.min(this.#due, this.#desk.now)
    this.#tell()
  }

  isValid(ticket: number): boolean {
    for (const shard of this.shards.values()) if (shard.ticket === ticket) return true
    return false
  }

  lose(shard: number): void {
    this.shards.delete(shard)
    const { outbox } = this.#desk
    const positions = new Set<number>()
    for (const [id, held] of this.#inHand) {
      if (held.shard !== shard) continue
      this.#inHand.delete(id)
      positions.add(held.pos)
      if (!held.settled) this.#held--
      if (held.claimed) this.#giveBack(held)
    }
    outbox.handouts = outbox.handouts.filter(([to, , , pos]) => to !== this.consumer || !positions.has(pos))
    outbox.lost.push([this.consumer, shard])
  }

  /**
   * What was handed over early is not what the log keeps under its id. Whatever is in hand of the shard may rest on it: it
   * is void, and handed out again from the log under a new ticket.
   */
  dispute({ shard, early }: Row): void {
    const state = this.shards.get(shard)
    if (state?.ticket !== early) return
    const next = this.lowWater(shard)
    this.lose(shard)
    this.win(shard, next, state.suspect)
    this.shards.get(shard)!.saved = state.saved
  }

  offer(row: Row): void {
    const shard = this.shards.get(row.shard)
    if (!shard) return
    if (row.early === shard.ticket) return this.#hold(row.id, row.pos, row.shard, 1, false)
    if (!this.#caughtUp || row.pos <= shard.skipTo) return
    if (this.#room <= 0) {
      this.#cursor = row.pos - 1
      this.#caughtUp = false
      this.#tell()
      return
    }
    this.#hold(row.id, row.pos, row.shard, 1, false)
    const { op, index, json } = row
    this.#desk.outbox.handouts.push([this.consumer, 1, 0, row.pos, op, op < 0 ? json : index])
  }

  fill(): boolean {
    if (this.#due <= this.#desk.now) this.#serveDue()
    return !this.#caughtUp && this.#scan()
  }

  settle(settlement: Settlement): void {
    const id = settlement[1]
    const held = this.#inHand.get(id)
    if (!held || held.settled || this.shards.get(held.shard)!.ticket !== settlement[2]) return
    const { ledger, now } = this.#desk
    this.#held--
    if (held.claimed) ledger.unclaim(held.pos, this.group, this.owner)
    if (settlement[3] !== 'done')
      this.#due = Math.min(this.#due, ledger.put(held.pos, this.group, held.shard, held.attempt, now, settlement))
    if (held.pos > this.#seen(this.shards.get(held.shard)!)) held.settled = true
    else this.#inHand.delete(id)
    this.#settles++
    this.#unsavedSince = Math.min(this.#unsavedSince, now)
  }

  hurry(): void {
    this.#due = Math.min(this.#due, this.#desk.now)
  }

  goBehind(): void {
    if (this.#caughtUp) this.#cursor = this.#desk.store.head
    this.#caughtUp = false
    this.#tell()
  }

  /** Redeliveries that a lost transaction held are due again. */
  redeliver(): void {
    this.#desk.ledger.free(this.owner, this.#desk.now)
    this.hurry()
  }

  reload(): void {
    this.#due = Math.min(this.#due, this.#desk.now)
  }

  /** Everything in hand is void; what the leases on disk say is the truth. */
  reset(): void {
    this.#inHand.clear()
    this.#held = 0
    this.shards.clear()
    this.#caughtUp = true
    this.#told = false
    for (const { shard, next } of this.#leases.all(this.group, this.owner)) this.win(shard, next, this.#desk.store.head)
    this.#tell()
  }

  persist(idle: boolean): void {
    const due = this.#settles >= settlesPerSave || this.#desk.now >= this.saveAt
    if (!idle && !due) return
    for (const [shard, next] of this.#lowWaters()) {
      const state = this.shards.get(shard)!
      if (next === state.saved) continue
      this.#save.run(next, this.group, shard, this.owner)
      state.saved = next
    }
    this.#settles = 0
    this.#unsavedSince = Infinity
  }

  lowWater(shard: number): number {
    return this.#lowWaters().get(shard)!
  }

  describe(): LocalShard[] {
    const inFlight = new Map<number, number>()
    for (const held of this.#inHand.values())
      if (!held.settled && !held.claimed) inFlight.set(held.shard, (inFlight.get(held.shard) ?? 0) + 1)
    return [...this.shards].map(([shard, state]) => [this.group, shard, this.#seen(state), inFlight.get(shard) ?? 0])
  }

  get #position(): number {
    return this.#caughtUp ? this.#desk.store.head : this.#cursor
  }

  /** Position up to which a shard was looked at. */
  #seen({ skipTo }: Shard): number {
    return Math.max(skipTo, this.#position)
  }

  get #room(): number {
    return this.#paused ? 0 : this.#window - this.#held
  }

  #hold(id: string, pos: number, shard: number, attempt: number, claimed: boolean): void {
    this.#inHand.set(id, { pos, shard, attempt, claimed, settled: false })
    this.#held++
  }

  #giveBack({ pos, shard, attempt }: InHand): void {
    const { ledger, now } = this.#desk
    const claim = ledger.unclaim(pos, this.group, this.owner)
    if (claim)
      ledger.put(pos, this.group, shard, attempt, now, [0, '', pos, 'retry', 0, 'given back', null, claim.memo])
  }

  #lowWaters(): Map<number, number> {
    const low = new Map<number, number>()
    for (const [shard, state] of this.shards) low.set(shard, this.#seen(state) + 1)
    for (const { pos, shard, claimed } of this.#inHand.values())
      if (!claimed && pos < low.get(shard)!) low.set(shard, pos)
    return low
  }

  #serveDue(): void {
    const { ledger, now, outbox } = this.#desk
    const room = Math.min(this.#room, scanPage)
    if (room <= 0) return
    const page = ledger.dueIn(this.group, this.shards.keys(), now, room)
    for (const due of page) {
      ledger.redeliver(due, this.group, this.owner)
      this.#hold(due.eventId, due.pos, due.shard, due.attempts + 1, true)
      outbox.handouts.push([this.consumer, due.attempts + 1, due.due, due.pos, -1, due.event, due.memo])
    }
    if (page.length < room) this.#due = ledger.nextDueIn(this.group, this.shards.keys())
  }

  #scan(): boolean {
    const { store } = this.#desk
    for (let budget = scanBudget; budget > 0; budget -= scanPage) {
      if (this.#room <= 0) return false
      const rows = store.scan(this.#cursor, scanPage)
      for (const row of rows) {
        if (this.#wants(row)) {
          if (this.#room <= 0) return false
          this.#handOut(row.id, row.pos, row.shard)
        }
        this.#cursor = row.pos
      }
      if (rows.length < scanPage) {
        this.#caughtUp = true
        this.#tell()
        return false
      }
    }
    return true
  }

  #wants(row: { id: string; pos: number; type: string; target: string | null; shard: number }): boolean {
    const shard = this.shards.get(row.shard)
    if (!shard || row.pos <= shard.skipTo || !this.matches(row)) return false
    const held = this.#inHand.get(row.id)
    if (held?.settled) this.#inHand.delete(row.id)
    return !held && !this.#desk.ledger.knows(row.pos, this.group)
  }

  #handOut(id: string, pos: number, shard: number): void {
    const attempt = pos <= this.shards.get(shard)!.suspect ? 2 : 1
    this.#hold(id, pos, shard, attempt, false)
    this.#desk.outbox.handouts.push([this.consumer, attempt, -1, pos, -1, this.#desk.store.event(pos)])
  }

  #tell(): void {
    if (this.#told === this.#caughtUp) return
    this.#told = this.#caughtUp
    this.#desk.outbox.caughtUp.push([this.consumer, this.#caughtUp])
  }
}
