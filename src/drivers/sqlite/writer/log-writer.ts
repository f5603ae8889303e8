import { ClockWatch, movedClock, type Now } from '../../../bus/clock.ts'
import { sqlFor } from '../../../bus/sql.ts'
import {
  type CommitOp,
  type EventRow,
  type OpOf,
  type OpResult,
  type OpResults,
  ReplyBuffer,
  type WriterOp,
  type WriterOptions,
  type WriterReply,
} from '../protocol.ts'
import { ClaimStore } from './claim-store.ts'
import { DocumentTable } from './document-table.ts'
import type { WriterContext } from './group-cursor.ts'
import { GroupCursors } from './group-cursors.ts'
import { LogJanitor } from './log-janitor.ts'
import { LogStore } from './log-store.ts'
import { MemberTable } from './member-table.ts'
import { TurnStore } from './turn-store.ts'
import { WakeIndex } from './wake-index.ts'

/** If other processes wrote more events than this, each group reads them itself. */
const maxRoutedForeignEvents = 512

/** Executes operations in transactions, routes the events that they store, and reports what consumers receive. */
export class LogWriter {
  readonly now: Now
  readonly store: LogStore
  protected readonly groups: GroupCursors
  protected readonly turns: TurnStore
  readonly #context: WriterContext
  readonly #members: MemberTable
  readonly #clock: ClockWatch
  readonly #wakes: WakeIndex
  readonly #janitor: LogJanitor
  readonly #documents: DocumentTable
  readonly #journalMode
  readonly #synchronous
  /** What each kind of operation does; `index`: its place in the transaction. */
  readonly #execute: { readonly [K in WriterOp['kind']]: (op: OpOf<K>, index: number) => OpResults[K] } = {
    publish: ({ events }, index) => this.append(events, index),
    settle: ({ settlement, events }, index) => {
      this.groups.settle(settlement)
      this.append(events, index)
    },
    commit: (op, index) => this.#commitTurn(op, index),
    subscribe: op => {
      this.groups.subscribe(op)
      this.#wakes.rewind()
    },
    provision: op => this.groups.provision(op),
    pause: ({ consumer }) => this.groups.pause(consumer),
    unsubscribe: ({ consumer }) => this.groups.unsubscribe(consumer),
    giveBack: ({ consumer, position }) => this.groups.giveBack(consumer, position),
    restoreWake: ({ task, version, wake }) => {
      const wasSet = this.turns.restoreWake(task, version, wake)
      if (wasSet) this.#wakes.setWake(task, wake)
      return wasSet
    },
    putDocument: op => this.#documents.put(op, this.#context.now),
    release: ({ id }) => this.groups.release(id),
    releaseParked: ({ key }) => this.groups.releaseParked(key),
    drop: ({ id }) => this.#context.claims.discard(id),
    shardProgress: () => {
      this.groups.persist(true)
      return this.groups.progress()
    },
    horizon: ({ age, maxLag }) => {
      this.groups.persist(true)
      this.#documents.deleteExpired(this.#context.now)
      return this.#janitor.horizon(this.#context.now - age, maxLag)
    },
    purge: ({ horizon }) => this.#janitor.purge(horizon, this.#context.now),
    durability: () => ({
      journal: this.#journalMode.get()!.journal_mode,
      synchronous: this.#synchronous.get()!.synchronous,
    }),
    close: () => {
      this.groups.closeAll()
      this.#members.removeSelf()
    },
  }
  /** Milliseconds by which the wall clock was moved since the last transaction. */
  #clockMovedMs = 0
  #isHeartbeatDue = false
  /** A transaction was lost: nothing is dispatched until another one is written. */
  #isSuspended = false
  /** Whether another transaction has work to do at once. */
  hasMore = false

  constructor(options: WriterOptions, store = new LogStore(options)) {
    this.now = options.clock ? movedClock(options.clock) : Date.now
    this.#clock = new ClockWatch(this.now)
    this.store = store
    const sql = sqlFor(store.db)
    this.#context = { store, claims: new ClaimStore(store.db), reply: new ReplyBuffer(), now: this.now() }
    this.#documents = new DocumentTable(store.db)
    this.#journalMode = sql<{ journal_mode: string }>('PRAGMA journal_mode')
    this.#synchronous = sql<{ synchronous: number }>('PRAGMA synchronous')
    this.#members = new MemberTable(this.#context, options.leaseMs)
    this.groups = new GroupCursors(this.#context, this.#members)
    this.turns = new TurnStore(store)
    this.#wakes = new WakeIndex(this.#context, (group, shard) => this.groups.ownerOf(group, shard))
    this.#janitor = new LogJanitor(store)
  }

  /** When the next transaction has work to do even without operations. */
  get alarm(): number {
    return this.#isSuspended ? Infinity : Math.min(this.groups.alarm, this.#wakes.next)
  }

  /** Whether the alarm is due, or was reckoned by a wall clock that was set since. */
  get isDue(): boolean {
    return this.alarm <= this.now() || this.#clockWasSet()
  }

  /** Executes operations in one transaction. If it throws, nothing was stored; then call `recover`. */
  transact(ops: readonly WriterOp[]): { reply: WriterReply; wrote: boolean } {
    this.#context.now = this.now()
    this.store.begin(ops.length > 0)
    const headBefore = this.store.head
    if (this.store.isStale) this.#catchUp()
    if (this.#isHeartbeatDue) this.#heartbeat()
    if (this.#clockWasSet()) this.#adjustToClock()
    const results: OpResult[] = []
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!
      const execute: (op: never, index: number) => OpResult = this.#execute[op.kind]
      results.push(execute(op as never, i))
    }
    if (!this.#isSuspended) {
      this.hasMore = this.groups.fill()
      this.hasMore = this.#wakes.serve() || this.hasMore
    }
    this.groups.persist(false)
    const wrote = this.store.commit()
    this.#clockMovedMs = 0
    if (wrote && this.#isSuspended) {
      this.#isSuspended = false
      this.hasMore = true
    }
    return { reply: this.#takeReply(results, this.store.head > headBefore), wrote }
  }

  /** Whether no local consumer waits for events, so that `readOthersWrites` suffices instead of a transaction. */
  get isIdle(): boolean {
    return this.groups.isEmpty
  }

  /** Needs no lock. */
  readOthersWrites(): WriterReply {
    this.#context.now = this.now()
    this.store.markSeen()
    const headBefore = this.store.head
    this.store.reload()
    this.#members.reload()
    return this.#takeReply([], this.store.head > headBefore)
  }

  /** After a lost transaction: rebuilds memory from the log. */
  recover(lostOps: readonly WriterOp[]): void {
    this.store.rollback()
    this.#context.reply = new ReplyBuffer()
    this.#isSuspended = this.#isHeartbeatDue = true
    this.hasMore = false
    this.discard(lostOps)
    this.store.reload()
    this.#members.reload()
    this.groups.reset()
    this.#wakes.reset()
  }

  /** Operations that were submitted before the main thread knew that an earlier one was lost. */
  discard(ops: readonly WriterOp[]): void {
    for (const op of ops) {
      if (op.kind === 'unsubscribe') this.groups.discardUnsubscribe(op.consumer)
      else if (op.kind === 'subscribe') this.groups.discardSubscribe(op.consumer)
    }
  }

  /** The next transaction renews the lease of this member, which also probes whether the log can be written. */
  requestHeartbeat(): void {
    this.#isHeartbeatDue = true
  }

  hasExpiredMembers(): boolean {
    return this.#members.hasExpired()
  }

  /** Whether the turn may be committed: the task is at the expected version, and its inputs are from shards that are still owned. */
  protected accepts(op: CommitOp): boolean {
    return !this.groups.hasLost(op.settlements) && this.turns.accepts(op)
  }

  /** Stores a turn that was accepted. Returns whether the wake-up of the task changed. */
  protected storeTurn(op: CommitOp, opIndex: number): boolean {
    for (const settlement of op.settlements) this.groups.settle(settlement)
    const changed = this.turns.record(op, this.store.head + 1)
    this.append(op.events, opIndex)
    return changed
  }

  /** Stores events. `firstRow`: the row of the first one in its operation. Returns their positions. */
  protected append(events: readonly EventRow[], opIndex: number, firstRow = 0): number[] {
    const positions: number[] = []
    for (let i = 0; i < events.length; i++) {
      const event = this.store.append(events[i]!)
      positions.push(event.pos)
      if (event.pos < 0) {
        if (event.earlyToken) this.groups.invalidateEarly(event)
        continue
      }
      event.op = opIndex
      event.row = firstRow + i
      this.groups.route(event)
    }
    return positions
  }

  #takeReply(results: OpResult[], grew: boolean): WriterReply {
    const { deliveries, wakes, acquired, lost, caughtUp } = this.#context.reply
    this.#context.reply = new ReplyBuffer()
    const otherMembers = this.#members.otherCount
    return { results, deliveries, wakes, acquired, lost, caughtUp, grew, otherMembers }
  }

  #heartbeat(): void {
    this.#isHeartbeatDue = false
    this.#members.heartbeat()
    this.#evictExpired()
    this.groups.persist(true)
    this.groups.rebalance()
    this.#wakes.rewind()
    if (this.#isSuspended) this.groups.redeliver()
  }

  /** Whether the wall clock was set since the last transaction. */
  #clockWasSet(): boolean {
    this.#clockMovedMs += this.#clock.moved()
    return this.#clockMovedMs !== 0
  }

  /** Other deliveries and wake-ups are due by the new time. */
  #adjustToClock(): void {
    if (this.#clockMovedMs < 0) this.#context.claims.advanceDue(this.#context.now, Math.round(-this.#clockMovedMs))
    this.groups.reload()
    this.#wakes.reset()
  }

  #evictExpired(): void {
    if (this.#members.evictExpired()) this.groups.reload()
  }

  /** Follows what other processes wrote. */
  #catchUp(): void {
    this.store.markSeen()
    const wasEvicted = !this.#members.reload()
    if (wasEvicted) {
      this.#members.heartbeat()
      this.groups.rejoin()
    }
    this.groups.reload()
    this.groups.refilter()
    const head = this.store.newest()
    const mayRoute = head - this.store.head <= maxRoutedForeignEvents
    if (!mayRoute) this.groups.fallBehind()
    for (const event of mayRoute ? this.store.tail(this.store.head) : []) {
      this.store.head = event.pos
      this.groups.route(event)
    }
    this.store.head = head
    this.#evictExpired()
    this.groups.rebalance()
    this.#wakes.rewind()
  }

  #commitTurn(op: CommitOp, opIndex: number): boolean {
    if (!this.accepts(op)) return false
    if (this.storeTurn(op, opIndex)) this.#wakes.setWake(op.task, op.end ? null : op.wake)
    else this.#wakes.keepWake(op.task)
    return true
  }
}
