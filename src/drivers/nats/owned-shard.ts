import { log as logger } from '../../bus/telemetry/log.ts'
import { TidingsError } from '../../errors.ts'
import { takeCheckpoint, writeCheckpoint, type CheckpointContent } from './checkpoint.ts'
import {
  differs,
  type ShardFold,
  foldShard,
  groupOfTurn,
  liveOf,
  type LiveTaskState,
  isSelfContained,
  applyTurn,
} from './task-checkpoint.ts'
import type { NatsLog } from './nats-log.ts'
import type { StoredMessage } from './stored-message.ts'
import type { Stream } from './stream.ts'
import { type StoredTurn, type KnownRepair, taskOf, turnHeaders, type TurnRepair, type Turns } from './turns.ts'
import { skipUnreadableTurn } from './unfinished-turns.ts'

/** A first reading of fewer positions writes no checkpoint when it ends. */
const minProgress = 1_000

/** An operation that reads or changes the log for a while. Its result may be older than the state when it ends. */
export interface ShardView {
  /** The newest sequence that was known when it began. */
  readonly newest: number
  readonly begun: number
}

/** How many newest turns are compared with the state at a time. */
const comparePageSize = 1_000

interface OwnedShardOptions {
  readonly log: NatsLog
  readonly group: string
  readonly shard: number
  /** By the monotonic clock. A reading that begins later sees everything that previous owners stored. */
  readonly completeFrom: number
  readonly onWake: (task: string, state: LiveTaskState) => void
}

/**
 * A shard of a group that this process owns, with its live tasks. All input is a partial view of the log, so it only adds:
 * the newest turn of a task counts, an end is final, and a task that a view does not show is kept.
 */
export class OwnedShard {
  readonly shard: number
  readonly live = new Map<string, LiveTaskState>()
  readonly #log: NatsLog
  readonly #stream: Stream
  readonly #group: string
  readonly #onWake: (task: string, state: LiveTaskState) => void
  /** Open views, in the order in which they began. */
  readonly #views = new Set<ShardView>()
  /** Tasks that ended since the oldest open view began, and when: an older view may still show them. */
  readonly #ended = new Map<string, number>()
  #time = 0
  #reading: Promise<void> = Promise.resolve()
  #nextReading: Promise<void> | undefined
  #saving: Promise<void> = Promise.resolve()
  #newest = 0
  readonly #completeFrom: number
  #isComplete = false
  /** The log was read up to here. */
  #readTo = 0
  #announcements: number[] = []
  /** The revision of the checkpoint; undefined if another process may have written it. */
  #revision: number | undefined
  #written = 0
  /** The stored checkpoint differs from the log. */
  #mustRewrite = false
  #isLost = false
  #comparing: AsyncGenerator<StoredMessage> | undefined

  constructor({ log, group, shard, completeFrom, onWake }: OwnedShardOptions) {
    this.shard = shard
    this.#completeFrom = completeFrom
    this.#log = log
    this.#stream = log.streamOfShard(shard)
    this.#group = group
    this.#onWake = onWake
  }

  /**
   * Reads the turns of other processes and repairs what they left unfinished. One reading at a time. The first one may miss turns
   * that the previous owner is still storing, or that a new leader has not applied yet.
   */
  read(turns: Turns): Promise<void> {
    // A reading that has not begun yet serves this caller too.
    if (this.#nextReading) return this.#nextReading
    const reading = this.#reading.then(() => {
      this.#nextReading = undefined
      return this.#read(turns)
    })
    this.#nextReading = reading
    this.#reading = reading.catch(() => {})
    return reading
  }

  async #read(turns: Turns): Promise<void> {
    const begun = performance.now()
    const view = this.openView()
    try {
      const isFirst = this.#readTo === 0
      // Progress may only continue the checkpoint that is read, so it is taken over first.
      if (isFirst) this.#revision = undefined
      this.#revision ??= await takeCheckpoint(this.#log, this.shard, this.#group)
      const announcements = new Set(this.#announcements)
      const known = isFirst ? undefined : { at: this.#readTo, live: new Map(this.live), announcements }
      const onProgress = async (fold: ShardFold) => {
        if (this.#isLost)
          throw new TidingsError('E_LOG_UNAVAILABLE', 'the shard has another owner, so its reading ends', {
            retryable: true,
          })
        if (isFirst) await this.#saveProgress(fold)
      }
      const fold = await foldShard(this.#log, this.shard, { group: this.#group, known, turns, onProgress })
      if (this.#isLost) return
      const { until } = fold
      // Before the first regular save, which may come too late for an owner that lives for seconds only.
      if (isFirst && until - fold.start >= minProgress) await this.#saveProgress(fold)
      if (until < view.newest)
        throw new TidingsError(
          'E_LOG_UNAVAILABLE',
          'the server has not applied all turns yet; the shard is read again',
          { retryable: true },
        )
      for (const [seq, missing] of fold.unfinished!.open) {
        const turn = await this.#stream.at(seq)
        if (turn) await this.#repair(turns, turn, { missing, from: until + 1 })
      }
      for (const turn of fold.announced) await this.#repair(turns, turn)
      for (const [task, { seq }] of this.live) if (seq <= until && !fold.live.has(task)) this.live.delete(task)
      for (const [task, state] of fold.live) this.#merge(task, state, view)
      this.#announcements = fold.announcements
      this.#readTo = until
      if (begun >= this.#completeFrom) this.#isComplete = true
      this.#advanceTo(until)
    } finally {
      this.closeView(view)
    }
  }

  /** So that the next owner continues here if this one dies while it reads. */
  async #saveProgress({ live, start, readTo, unfinished }: ShardFold): Promise<void> {
    if ((readTo - Math.max(start, this.#written)) * 2 < live.size) return
    if (!(await this.#write({ at: readTo, open: unfinished!.open, live })))
      throw new TidingsError(
        'E_LOG_UNAVAILABLE',
        'another process took the shard over, so its checkpoint was not written',
        { retryable: true },
      )
  }

  /** Whether the state covers everything that was stored before it was owned, and since. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Call before a turn or a read of the log begins, and `closeView` when it ends. */
  openView(): ShardView {
    const view = { newest: this.#newest, begun: ++this.#time }
    this.#views.add(view)
    return view
  }

  closeView(view: ShardView): void {
    this.#views.delete(view)
    const [oldest] = this.#views
    for (const [task, at] of this.#ended) {
      if (oldest && at > oldest.begun) break
      this.#ended.delete(task)
    }
  }

  /** What is left to do for the events of a turn, the newest of its task. */
  repairOf(turn: StoredMessage): TurnRepair {
    if (groupOfTurn(turn) !== this.#group) return 'all'
    if (turn.seq <= this.#readTo || this.live.get(taskOf(turn.subject))?.seq === turn.seq) return 'none'
    // The first reading, which is under way or comes next, checks every turn.
    return this.#readTo === 0 ? 'recent' : 'all'
  }

  /** A turn was stored, by this or another process. */
  turnStored(task: string, stored: StoredTurn, view: ShardView): void {
    if (this.#isLost || groupOfTurn(stored) !== this.#group) return
    this.#advanceTo(stored.seq)
    if (stored.header(turnHeaders.end)) return this.#end(task)
    // A known turn must not wake its task again: a task whose code does not fit is read each time it is woken.
    if ((this.live.get(task)?.seq ?? 0) >= stored.seq) return
    if (isSelfContained(stored)) this.#merge(task, applyTurn(undefined, stored, this.#group)!, view)
    // A turn of an older version needs the turns before it, so the shard is read again.
    else this.#isComplete = false
  }

  /** Writes a checkpoint if enough has changed to pay for it. */
  save(always = false): Promise<void> {
    const saving = this.#saving.then(() => this.#save(always))
    this.#saving = saving.catch(() => {})
    return saving
  }

  async #save(always: boolean): Promise<void> {
    if (this.#readTo === 0 || this.#isLost) return
    this.#revision ??= await takeCheckpoint(this.#log, this.shard, this.#group)
    const [oldest] = this.#views
    const at = Math.min(this.#isComplete ? this.#newest : this.#readTo, oldest?.newest ?? Infinity)
    const isDue = at > this.#written && (always || (at - this.#written) * 2 >= this.live.size)
    if (!isDue && !this.#mustRewrite) return
    const covered = this.#announcements.splice(0)
    if (!(await this.#write({ at, open: [], live: this.live }))) return
    this.#mustRewrite = false
    for (const seq of covered) await this.#log.state.remove(seq)
  }

  /** False if another process took the shard over. */
  async #write(checkpoint: CheckpointContent): Promise<boolean> {
    const document = { shard: this.shard, group: this.#group, revision: this.#revision! }
    // If the write fails, its outcome is unknown, and the next save takes the checkpoint over once more.
    this.#revision = undefined
    this.#revision = await writeCheckpoint(this.#log, document, checkpoint)
    if (this.#revision === undefined) return false
    this.#written = checkpoint.at
    return true
  }

  /**
   * Compares a page of the newest turns of the shard with the state, and corrects differences, which should not exist.
   * False when it is done.
   */
  async compare(turns: Turns): Promise<boolean> {
    const view = this.openView()
    try {
      this.#comparing ??= this.#stream.newestHeaders(this.#log.names.turnsIn(this.shard))
      for (let n = 0; n < comparePageSize; n++) {
        const next = await this.#comparing.next()
        if (next.done) {
          this.#comparing = undefined
          return false
        }
        if (this.#differs(next.value)) await this.#correct(turns, next.value.subject, view)
      }
      return true
    } catch (error) {
      this.#comparing = undefined
      throw error
    } finally {
      this.closeView(view)
    }
  }

  /** Whether this turn, which may be outdated by now, contradicts the state. */
  #differs(turn: StoredMessage): boolean {
    return groupOfTurn(turn) === this.#group && differs(this.live.get(taskOf(turn.subject)), turn)
  }

  async #correct(turns: Turns, subject: string, view: ShardView): Promise<void> {
    const newest = await this.#stream.last(subject)
    if (!newest || !this.#differs(newest)) return
    const task = taskOf(subject)
    await this.#repair(turns, newest)
    const after = await liveOf(this.#log, newest, this.#group)
    if (this.#isLost) return
    if (!after) return this.#end(task)
    const before = this.live.get(task)
    if (before && (before.seq > after.seq || (before.wake === after.wake && before.origin <= after.origin))) return
    if ((this.#ended.get(task) ?? 0) > view.begun) return
    logger.warn?.({ task }, 'the wake-up of this task was missing and is set again')
    this.#mustRewrite = true
    this.#set(task, after)
  }

  /** Publishes missing events of a turn. */
  async #repair(turns: Turns, turn: StoredMessage, known?: KnownRepair): Promise<void> {
    try {
      await turns.complete(turn, known)
    } catch (error) {
      skipUnreadableTurn(turn, error)
    }
  }

  lose(): void {
    this.#isLost = true
    this.live.clear()
  }

  #merge(task: string, state: LiveTaskState, view: ShardView): void {
    if ((this.#ended.get(task) ?? 0) > view.begun) return
    if ((this.live.get(task)?.seq ?? 0) < state.seq) this.#set(task, state)
  }

  #end(task: string): void {
    this.live.delete(task)
    // Moved to the end: entries are dropped in order.
    this.#ended.delete(task)
    if (this.#views.size > 0) this.#ended.set(task, ++this.#time)
  }

  #set(task: string, state: LiveTaskState): void {
    this.live.set(task, state)
    if (state.wake !== null) this.#onWake(task, state)
  }

  #advanceTo(seq: number): void {
    if (seq > this.#newest) this.#newest = seq
  }
}
