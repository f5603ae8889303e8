import { ClockWatch, movedClock, type Now } from '../../../bus/clock.ts'
import type { WireFaults } from '../faults.ts'
import {
  type LocalShard,
  type Op,
  type Reply,
  type Result,
  type Rows,
  rowWidth,
  type Settings,
  type WriterOptions,
} from '../protocol.ts'
import { prepare } from '../schema.ts'
import { Groups } from './groups.ts'
import { type Desk, Outbox } from './intake.ts'
import { Janitor } from './janitor.ts'
import { Ledger } from './ledger.ts'
import { Members } from './members.ts'
import { Store } from './store.ts'
import { type CommitOp, Turns } from './turns.ts'
import { Wakes } from './wakes.ts'

/** Rows by other processes that are routed from memory; more are read by each group for itself. */
const foreignTail = 512

/** One transaction after the other: applies ops, routes what they stored, and says what to hand out. */
export class Writer {
  readonly desk: Desk
  readonly members: Members
  readonly now: Now
  readonly #clock: ClockWatch
  readonly #store: Store
  readonly #groups: Groups
  readonly #turns: Turns
  readonly #wakes: Wakes
  readonly #janitor: Janitor
  readonly #faults: WireFaults
  readonly #document
  readonly #settings
  /** Ms by which the wall clock was moved since the last transaction. */
  #moved = 0
  #beatDue = false
  #suspended = false
  #hungry = false

  constructor(options: WriterOptions) {
    this.now = options.clock ? movedClock(options.clock) : Date.now
    this.#clock = new ClockWatch(this.now)
    this.#store = new Store(options)
    const { db } = this.#store
    this.desk = { store: this.#store, ledger: new Ledger(db), outbox: new Outbox(), now: this.now() }
    this.#faults = options.faults
    this.#document = prepare(
      db,
      `INSERT INTO documents SELECT ?1, ?3 + 1, ?2
      WHERE ?3 = ifnull((SELECT revision FROM documents WHERE key = ?1), 0)
      ON CONFLICT(key) DO UPDATE SET revision = excluded.revision, value = excluded.value`,
    )
    this.#settings = [
      prepare<{ journal_mode: string }>(db, 'PRAGMA journal_mode'),
      prepare<{ synchronous: number }>(db, 'PRAGMA synchronous'),
    ] as const
    this.members = new Members(this.desk, options.leaseMs)
    this.#groups = new Groups(this.desk, this.members)
    this.#turns = new Turns(this.#store, options.faults, settlements => this.#groups.areLost(settlements))
    this.#wakes = new Wakes(this.desk, (group, shard) => this.#groups.ownerOf(group, shard))
    this.#janitor = new Janitor(this.#store)
  }

  /** Whether there is more to do at once. */
  get isHungry(): boolean {
    return this.#hungry
  }

  /** The next moment at which something is due without anybody asking. */
  get alarm(): number {
    return this.#suspended ? Infinity : Math.min(this.#groups.alarm, this.#wakes.next)
  }

  /** Whether the alarm has gone off, or may have been set by a clock that is another by now. */
  get isDue(): boolean {
    return this.alarm <= this.now() || this.#wasSet()
  }

  /** Runs ops in one transaction. When it throws, nothing of it was stored; call `recover` then. */
  transact(ops: readonly Op[]): { reply: Reply; wrote: boolean } {
    this.desk.now = this.now()
    this.#store.begin(ops.length > 0)
    const headBefore = this.#store.head
    if (this.#store.isStale) this.#catchUp()
    if (this.#beatDue) this.#beat()
    if (this.#wasSet()) this.#setClock()
    const results: Result[] = []
    for (let i = 0; i < ops.length; i++) results.push(this.#apply(ops[i]!, i))
    if (!this.#suspended) {
      this.#hungry = this.#groups.fill()
      this.#hungry = this.#wakes.serve() || this.#hungry
    }
    this.#groups.persist(false)
    const wrote = this.#store.commit()
    this.#moved = 0
    if (wrote && this.#suspended) {
      this.#suspended = false
      this.#hungry = true
    }
    return { reply: this.#reply(results, this.#store.head > headBefore), wrote }
  }

  get isStale(): boolean {
    return this.#store.isStale
  }

  /** Whether nobody here waits for events, so that a look at what others wrote needs no lock. */
  get isIdle(): boolean {
    return this.#groups.isEmpty
  }

  look(): Reply {
    this.desk.now = this.now()
    this.#store.see()
    const before = this.#store.head
    this.#store.reload()
    this.members.reload()
    return this.#reply([], this.#store.head > before)
  }

  /** After a lost transaction: memory follows the log again, and nothing is handed out until a write succeeds. */
  recover(ops: readonly Op[]): void {
    this.#store.rollback()
    this.desk.outbox = new Outbox()
    this.#suspended = this.#beatDue = true
    this.#hungry = false
    this.voided(ops)
    this.#store.reload()
    this.members.reload()
    this.#groups.reset()
    this.#wakes.forget()
  }

  /** Ops that were submitted before the main thread knew that an earlier one was lost. */
  voided(ops: readonly Op[]): void {
    for (const op of ops) {
      if (op[0] === 'unsubscribe') this.#groups.orphan(op[1])
      else if (op[0] === 'subscribe') this.#groups.undo(op[1])
    }
  }

  /** The next transaction beats, which also probes whether the log can be written again. */
  beat(): void {
    this.#beatDue = true
  }

  someoneDied(): boolean {
    return this.members.someoneDied()
  }

  get isInPlace(): boolean {
    return this.#store.isInPlace
  }

  close(): void {
    this.#store.close()
  }

  #reply(results: Result[], grew: boolean): Reply {
    const { handouts, wakes, won, lost, caughtUp } = this.desk.outbox
    this.desk.outbox = new Outbox()
    return { kind: 'done', results, handouts, wakes, won, lost, caughtUp, grew, others: this.members.others }
  }

  #beat(): void {
    this.#beatDue = false
    this.members.beat()
    this.#bury()
    this.#groups.persist(true)
    this.#groups.rebalance()
    this.#wakes.rewind()
    if (this.#suspended) this.#groups.redeliver()
  }

  /** Whether the wall clock was set since the last transaction. */
  #wasSet(): boolean {
    this.#moved += this.#clock.moved()
    return this.#moved !== 0
  }

  /** By the new time other things are due; what was reckoned by the old one is void. */
  #setClock(): void {
    if (this.#moved < 0) this.desk.ledger.hasten(this.desk.now, Math.round(-this.#moved))
    this.#groups.reload()
    this.#wakes.forget()
  }

  #bury(): void {
    if (this.members.buryDead()) this.#groups.reload()
  }

  #catchUp(): void {
    this.#store.see()
    const wasBuried = !this.members.reload()
    if (wasBuried) {
      this.members.beat()
      this.#groups.rejoin()
    }
    this.#groups.reload()
    this.#groups.refilter()
    const head = this.#store.newest()
    const rows = head - this.#store.head <= foreignTail ? this.#store.tail(this.#store.head) : undefined
    if (!rows) this.#groups.goBehind()
    for (const row of rows ?? []) {
      this.#store.head = row.pos
      this.#groups.route(row)
    }
    this.#store.head = head
    this.#bury()
    this.#groups.rebalance()
    this.#wakes.rewind()
  }

  #apply(op: Op, at: number): Result {
    switch (op[0]) {
      case 'publish':
        return this.#append(op[1], at, 0)
      case 'settle':
        this.#groups.settle(op[1])
        this.#append(op[2], at, 0)
        return null
      case 'commit':
        return this.#commit(op, at)
      case 'subscribe':
        this.#groups.subscribe(op)
        this.#wakes.rewind()
        return null
      case 'provision':
        this.#groups.provision(op)
        return null
      case 'pause':
        this.#groups.pause(op[1])
        return null
      case 'unsubscribe':
        this.#groups.unsubscribe(op[1])
        return null
      case 'giveBack':
        this.#groups.giveBack(op[1], op[2])
        return null
      case 'rearm': {
        const wasSet = this.#turns.rearm(op[1], op[2], op[3])
        if (wasSet) this.#wakes.changed(op[1], op[3])
        return wasSet
      }
      case 'document':
        return this.#document.run(op[1], op[2], op[3]).changes !== 0
      case 'release':
        return this.#groups.release(op[1], op[2])
      case 'drop':
        return this.desk.ledger.drop(op[1])
      case 'groups':
        return this.#describe()
      case 'horizon':
        this.#groups.persist(true)
        return this.#janitor.horizon(this.desk.now - op[1], op[2])
      case 'purge':
        return this.#janitor.purge(op[1], this.desk.now)
      case 'durability':
        return this.#durability()
      case 'close':
        this.#groups.closeAll()
        this.members.resign()
        return null
    }
  }

  #commit(op: CommitOp, at: number): boolean {
    const [, , task, , wake, , end, settlements, rows] = op
    if (!this.#turns.accepts(op)) return false
    let changed: boolean
    if (this.#faults.dropFence) for (let i = 0; i < rows.length; i += rowWidth) this.#store.forget(rows[i] as string)
    if (this.#faults.dropTransaction) changed = this.#commitInPieces(op, at)
    else {
      for (const settlement of settlements) this.#groups.settle(settlement)
      changed = this.#turns.record(op, this.#store.head + 1)
      this.#append(rows, at, 0)
    }
    if (changed) this.#wakes.changed(task, end ? null : wake)
    else this.#wakes.touched(task)
    return true
  }

  /** Fault injection: what happens without a transaction. */
  #commitInPieces(op: CommitOp, at: number): boolean {
    for (const settlement of op[7]) this.#groups.settle(settlement)
    this.#groups.persist(true)
    this.#store.commit()
    this.#store.begin(true)
    const changed = this.#turns.record(op, this.#store.head + 1)
    this.#append(op[8].slice(0, rowWidth), at, 0)
    this.#store.commit()
    this.#store.begin(true)
    this.#append(op[8].slice(rowWidth), at, 1)
    return changed
  }

  #append(rows: Rows, op: number, firstIndex: number): number[] {
    const positions: number[] = []
    for (let i = 0; i < rows.length; i += rowWidth) {
      const row = this.#store.append(rows, i)
      positions.push(row.pos)
      if (row.pos < 0) {
        if (row.early) this.#groups.dispute(row)
        continue
      }
      row.op = op
      row.index = firstIndex + i / rowWidth
      this.#groups.route(row)
    }
    return positions
  }

  #describe(): LocalShard[] {
    this.#groups.persist(true)
    return this.#groups.describe()
  }

  #durability(): Settings {
    return {
      journal: this.#settings[0].get()!.journal_mode,
      synchronous: this.#settings[1].get()!.synchronous,
    }
  }
}
