import { prepare } from '../schema.ts'
import type { Desk } from './intake.ts'

interface Woken {
  readonly due: number
  readonly group: string
  readonly shard: number
  /** When to call again, and the pause after that. */
  at: number
  pause: number
}

const page = 512
const maxWoken = 4_096
const firstPause = 500
/** A task that has not answered by then makes room for others and is found again by the next round. */
const lastPause = 8_000
const roundEvery = 60_000
const start: [wake: number, task: string] = [Number.MIN_SAFE_INTEGER, '']

/**
 * Wake-ups of live tasks: an index on disk, a cursor in it up to which they were called, and the bounded set of those
 * that were called and have not answered by a commit, who are called again with growing pauses.
 */
export class Wakes {
  /** When there is something to do. */
  next = 0
  #cursor: [wake: number, task: string] = start
  #roundAt = Infinity
  /** More were due than are called at once. */
  #full = false
  readonly #woken = new Map<string, Woken>()
  readonly #desk: Desk
  readonly #ownerOf: (group: string, shard: number) => number
  readonly #due
  readonly #later

  /** `ownerOf`: the local consumer that owns the shard, 0 for none. */
  constructor(desk: Desk, ownerOf: (group: string, shard: number) => number) {
    this.#desk = desk
    this.#ownerOf = ownerOf
    const { db } = desk.store
    this.#due = prepare<{ task: string; grp: string; shard: number; wake: number }>(
      db,
      `SELECT task, grp, shard, wake
      FROM live WHERE wake IS NOT NULL AND (wake, task) > (?, ?) AND wake <= ? ORDER BY wake, task LIMIT ${page}`,
    )
    this.#later = prepare<{ wake: number | null }>(
      db,
      'SELECT min(wake) AS wake FROM live WHERE wake IS NOT NULL AND wake > ?',
    )
  }

  /** A task answered: it is woken at another moment, or no more. */
  changed(task: string, wake: number | null): void {
    this.#woken.delete(task)
    if (this.#full && this.#woken.size < maxWoken / 2) this.next = 0
    if (wake === null) return
    this.next = Math.min(this.next, wake)
    if (wake <= this.#cursor[0]) this.#cursor = [wake - 1, '']
  }

  /** A task committed, and its wake-up is as it was: it is called again if that is due. */
  touched(task: string): void {
    const woken = this.#woken.get(task)
    if (woken) woken.pause = firstPause
  }

  /** Looks at everything that is due again: shards were won, or another process wrote. */
  rewind(): void {
    this.#cursor = start
    this.#roundAt = Infinity
    this.next = 0
  }

  forget(): void {
    this.#woken.clear()
    this.rewind()
  }

  /** Calls those whose time has come. True when there are more at once. */
  serve(): boolean {
    const { now } = this.#desk
    if (now < this.next) return false
    if (now >= this.#roundAt) this.rewind()
    this.next = this.#roundAt
    this.#repeat(now)
    this.#full = this.#woken.size >= maxWoken
    if (this.#full) return false
    const rows = this.#due.all(...this.#cursor, now)
    for (const row of rows) this.#call(row, now)
    const last = rows.at(-1)
    if (last) this.#cursor = [last.wake, last.task]
    if (rows.length < page) this.next = Math.min(this.next, this.#later.get(now)!.wake ?? Infinity)
    else this.next = now
    return rows.length === page
  }

  #call(row: { task: string; grp: string; shard: number; wake: number }, now: number): void {
    const consumer = this.#ownerOf(row.grp, row.shard)
    if (!consumer || this.#woken.get(row.task)?.due === row.wake) return
    this.#desk.outbox.wakes.push([consumer, row.task, row.wake])
    const woken = { due: row.wake, group: row.grp, shard: row.shard, at: now + firstPause, pause: firstPause }
    this.#woken.set(row.task, woken)
    this.next = Math.min(this.next, woken.at)
  }

  #repeat(now: number): void {
    for (const [task, woken] of this.#woken) {
      if (woken.at <= now) this.#again(task, woken, now)
      this.next = Math.min(this.next, woken.at)
    }
  }

  #again(task: string, woken: Woken, now: number): void {
    const consumer = this.#ownerOf(woken.group, woken.shard)
    woken.pause *= 2
    woken.at = now + woken.pause
    if (consumer) this.#desk.outbox.wakes.push([consumer, task, woken.due])
    if (consumer && woken.pause <= lastPause) return
    this.#woken.delete(task)
    this.#roundAt = Math.min(this.#roundAt, now + roundEvery)
    this.next = Math.min(this.next, this.#roundAt)
  }
}
