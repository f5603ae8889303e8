import { foldShard, type LiveTask, turned, writeCheckpoint } from './live.ts'
import type { Log } from './provision.ts'
import type { StoredMessage } from './stream.ts'
import type { Turns } from './turns.ts'

/** One shard of a group that this process owns: the tasks that live in it. */
export class OwnedShard {
  readonly shard: number
  readonly live = new Map<string, LiveTask>()
  readonly #log: Log
  readonly #group: string
  readonly #onWake: (task: string, state: LiveTask) => void
  /** Tasks that ended while the log was being read. */
  #ended: Set<string> | undefined
  /** Turns under way, by the newest sequence that was known when they began. */
  readonly #underWay = new Map<object, number>()
  #reading: Promise<void> = Promise.resolve()
  #newest = 0
  readonly #sureAt: number
  #isSure = false
  /** Up to here it was read. */
  #readTo = 0
  #announcements: number[] = []
  #written = 0
  #isLost = false

  /** `sureAt`: the moment, of the monotonic clock, from which on a reading misses nothing that was stored before it was owned. */
  constructor(log: Log, group: string, shard: number, sureAt: number, onWake: (task: string, state: LiveTask) => void) {
    this.shard = shard
    this.#sureAt = sureAt
    this.#log = log
    this.#group = group
    this.#onWake = onWake
  }

  /**
   * Reads what others have decided, and finishes what they left unfinished. One reading at a time. The first comes too early for
   * what a server that has just become leader has not caught up with, and for what the owner before was about to store.
   */
  read(turns: Turns): Promise<void> {
    const reading = this.#reading.then(() => this.#read(turns))
    this.#reading = reading.catch(() => {})
    return reading
  }

  async #read(turns: Turns): Promise<void> {
    const begun = performance.now()
    const ended = (this.#ended = new Set<string>())
    const head = await this.#log.events.head()
    const known = this.#readTo > 0 ? { at: this.#readTo, live: new Map(this.live) } : undefined
    const fold = await foldShard(this.#log, this.shard, this.#group, known)
    if (this.#isLost) return
    await fold.repair(turns)
    for (const [task, { seq }] of this.live) if (seq <= head && !fold.live.has(task)) this.live.delete(task)
    for (const [task, state] of fold.live)
      if (!ended.has(task) && (this.live.get(task)?.seq ?? 0) < state.seq) this.#set(task, state)
    this.#ended = undefined
    this.#announcements = fold.announcements
    this.#readTo = head
    if (begun >= this.#sureAt) this.#isSure = true
    this.#saw(head)
  }

  /** Whether what it knows of its beginning is all. */
  get isSure(): boolean {
    return this.#isSure
  }

  /** A turn of this process begins; it is under way until `close`. */
  begin(): object {
    const key = {}
    this.#underWay.set(key, this.#newest)
    return key
  }

  close(key: object): void {
    this.#underWay.delete(key)
  }

  /** Whether this turn of a task is the newest that is known, so that its events are on the log. */
  knows(task: string, seq: number): boolean {
    return this.live.get(task)?.seq === seq
  }

  /** A turn was stored, by whomever. */
  advanced(task: string, stored: Pick<StoredMessage, 'seq' | 'header'>): void {
    this.#saw(stored.seq)
    const before = this.live.get(task)
    const after = turned(before, stored, this.#group)
    // What was known already wakes nobody again: a task whose code does not fit is read each time that it is woken.
    if (after) return after === before ? undefined : this.#set(task, after)
    this.live.delete(task)
    this.#ended?.add(task)
  }

  armed(task: string, wake: number | null, seq: number): void {
    this.#saw(seq)
    const before = this.live.get(task)
    if (before) this.#set(task, { ...before, wake, seq })
  }

  /** Writes down how far it is, when enough happened since to pay for it. */
  async save(always = false): Promise<void> {
    const at = Math.min(this.#isSure ? this.#newest : this.#readTo, ...this.#underWay.values())
    if (at <= this.#written || (!always && (at - this.#written) * 2 < this.live.size)) return
    this.#written = at
    const covered = this.#announcements.splice(0)
    if (!(await writeCheckpoint(this.#log, this.shard, this.#group, at, this.live))) return
    for (const seq of covered) await this.#log.state.remove(seq)
  }

  lose(): void {
    this.#isLost = true
    this.live.clear()
  }

  #set(task: string, state: LiveTask): void {
    this.live.set(task, state)
    if (state.wake !== null) this.#onWake(task, state)
  }

  #saw(seq: number): void {
    if (seq > this.#newest) this.#newest = seq
  }
}
