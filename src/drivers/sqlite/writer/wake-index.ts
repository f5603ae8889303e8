import { sqlFor } from '../../../bus/sql.ts'
import type { WriterContext } from './group-cursor.ts'

/** A task that was woken and has not committed since. */
interface WokenTask {
  readonly due: number
  readonly group: string
  readonly shard: number
  retryAt: number
  retryDelayMs: number
}

interface DueTask {
  task: string
  grp: string
  shard: number
  wake: number
}

const pageSize = 512
const maxWoken = 4_096
const minRetryDelayMs = 500
/** A task that has not committed after this delay makes room for others; the next round finds it. */
const maxRetryDelayMs = 8_000
const roundIntervalMs = 60_000
const start: [wake: number, task: string] = [Number.MIN_SAFE_INTEGER, '']

/**
 * Wakes live tasks: an index on disk, a cursor in it up to which they were woken, and a bounded set of tasks that have not answered
 * by a commit, which are woken repeatedly with growing delays.
 */
export class WakeIndex {
  /** When there is something to do. */
  next = 0
  #cursor: [wake: number, task: string] = start
  #roundAt = Infinity
  #isFull = false
  readonly #woken = new Map<string, WokenTask>()
  readonly #context: WriterContext
  readonly #ownerOf: (group: string, shard: number) => number
  readonly #due
  readonly #later

  /** `ownerOf`: the local consumer that owns the shard, or 0. */
  constructor(context: WriterContext, ownerOf: (group: string, shard: number) => number) {
    this.#context = context
    this.#ownerOf = ownerOf
    const sql = sqlFor(context.store.db)
    this.#due = sql<DueTask>(`SELECT task, grp, shard, wake FROM live
      WHERE wake IS NOT NULL AND (wake, task) > (?, ?) AND wake <= ? ORDER BY wake, task LIMIT ${pageSize}`)
    this.#later = sql<{ wake: number | null }>('SELECT min(wake) AS wake FROM live WHERE wake IS NOT NULL AND wake > ?')
  }

  /** A task committed another wake-up, or none. */
  setWake(task: string, wake: number | null): void {
    this.#woken.delete(task)
    if (this.#isFull && this.#woken.size < maxWoken / 2) this.next = 0
    if (wake === null) return
    this.next = Math.min(this.next, wake)
    if (wake <= this.#cursor[0]) this.#cursor = [wake - 1, '']
  }

  /** A task committed and left its wake-up as it was; if that is due, the task is woken soon. */
  keepWake(task: string): void {
    const woken = this.#woken.get(task)
    if (woken) woken.retryDelayMs = minRetryDelayMs
  }

  /** Starts from the beginning of the index: shards were acquired, or another process wrote. */
  rewind(): void {
    this.#cursor = start
    this.#roundAt = Infinity
    this.next = 0
  }

  reset(): void {
    this.#woken.clear()
    this.rewind()
  }

  /** Wakes the tasks that are due. True if there are more. */
  serve(): boolean {
    const { now } = this.#context
    if (now < this.next) return false
    if (now >= this.#roundAt) this.rewind()
    this.next = this.#roundAt
    this.#retryDue(now)
    this.#isFull = this.#woken.size >= maxWoken
    if (this.#isFull) return false
    const tasks = this.#due.all(...this.#cursor, now)
    for (const task of tasks) this.#wake(task, now)
    const last = tasks.at(-1)
    if (last) this.#cursor = [last.wake, last.task]
    if (tasks.length < pageSize) this.next = Math.min(this.next, this.#later.get(now)!.wake ?? Infinity)
    else this.next = now
    return tasks.length === pageSize
  }

  #wake({ task, grp: group, shard, wake: due }: DueTask, now: number): void {
    const consumer = this.#ownerOf(group, shard)
    if (!consumer || this.#woken.get(task)?.due === due) return
    this.#context.reply.wakes.push({ consumer, task, due })
    const retryAt = now + minRetryDelayMs
    this.#woken.set(task, { due, group, shard, retryAt, retryDelayMs: minRetryDelayMs })
    this.next = Math.min(this.next, retryAt)
  }

  #retryDue(now: number): void {
    for (const [task, woken] of this.#woken) {
      if (woken.retryAt <= now) this.#retry(task, woken, now)
      this.next = Math.min(this.next, woken.retryAt)
    }
  }

  #retry(task: string, woken: WokenTask, now: number): void {
    const consumer = this.#ownerOf(woken.group, woken.shard)
    woken.retryDelayMs *= 2
    woken.retryAt = now + woken.retryDelayMs
    if (consumer) this.#context.reply.wakes.push({ consumer, task, due: woken.due })
    if (consumer && woken.retryDelayMs <= maxRetryDelayMs) return
    this.#woken.delete(task)
    this.#roundAt = Math.min(this.#roundAt, now + roundIntervalMs)
    this.next = Math.min(this.next, this.#roundAt)
  }
}
