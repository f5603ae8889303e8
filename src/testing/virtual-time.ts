import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Now } from '../bus/clock.ts'
import type { Clock } from './memory/clock.ts'
import type { MemoryLog } from './memory/log.ts'

/** Rounds of the event loop without any activity, after which nothing more is to happen. */
const quietRounds = 3
/** Rounds after which the loop waits for work outside of the event loop, such as a request to a server. */
const eagerRounds = 100
/** How often one wait may move the clock: an app that sleeps and wakes without end must not hang its test. */
const maxMoves = 3_000

interface Wait {
  /** Looks at the idle app. Undefined: go on. */
  readonly look: () => Promise<(() => void) | undefined>
  readonly fail: (why: string) => void
  /** The clock does not move beyond this for it, in ms since the epoch. */
  readonly until: number
  moves: number
}

/**
 * Runs an app on a virtual clock. Whenever the app is idle, each wait of the test looks for its event. If none finds it, the clock moves to the
 * next timer:
 *
 *     running ──▶ idle ─┬─ found ──▶ the test goes on, and time stands still until it waits once more
 *                       └─ not found ──▶ the clock moves to the next timer, which may wake a task or end a delay
 */
export class VirtualTime {
  readonly #log: MemoryLog
  readonly #clock: VirtualClock
  readonly #stallTimeoutMs: number
  readonly #waits = new Set<Wait>()
  #isDriving = false

  constructor(log: MemoryLog, clock: VirtualClock, stallTimeoutMs: number) {
    this.#log = log
    this.#clock = clock
    this.#stallTimeoutMs = stallTimeoutMs
  }

  /** Waits until `find` finds something in the idle app. `fail` makes the error of a wait that is in vain. */
  wait<T>(
    find: () => T | undefined | Promise<T | undefined>,
    { skipMs, fail }: { readonly skipMs: number; readonly fail: (why: string) => Promise<Error> },
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const wait: Wait = {
      async look() {
        try {
          const found = await find()
          return found === undefined ? undefined : () => resolve(found)
        } catch (error) {
          return () => reject(error)
        }
      },
      fail: why => void fail(why).then(reject, reject),
      until: this.#clock.now() + skipMs,
      moves: 0,
    }
    this.#waits.add(wait)
    if (!this.#isDriving) void this.#drive()
    return promise
  }

  async #drive(): Promise<void> {
    this.#isDriving = true
    while (this.#waits.size > 0) {
      const stalled = await this.#idle()
      if ((await this.#look()) || this.#waits.size === 0) continue
      const next = this.#clock.next
      let hasFailed = false
      for (const wait of this.#waits) {
        const why = stalled ?? this.#vain(wait, next)
        if (why === undefined) continue
        this.#waits.delete(wait)
        wait.fail(why)
        hasFailed = true
      }
      if (!hasFailed) this.#clock.moveTo(next!)
    }
    this.#isDriving = false
  }

  /** Whether a wait found what it looked for. Its test then goes on before time does. */
  async #look(): Promise<boolean> {
    let hasFound = false
    // What begins to wait meanwhile looks when the app is idle once more.
    const waits = [...this.#waits]
    for (const wait of waits) {
      const finish = await wait.look()
      if (!finish) continue
      this.#waits.delete(wait)
      finish()
      hasFound = true
    }
    return hasFound
  }

  /** Why a wait can find nothing more. */
  #vain(wait: Wait, next: number | undefined): string | undefined {
    if (next === undefined) return 'the app is idle, and no timer is set'
    if (next > wait.until) return `the next timer is due at ${timeText(next)}, which is too far ahead`
    if (++wait.moves > maxMoves) return `${maxMoves} timers went off meanwhile`
    return undefined
  }

  /** Resolves when nothing more happens before the clock moves. Returns why the app does not become idle. */
  async #idle(): Promise<string | undefined> {
    let seen = -1
    let seenAt = performance.now()
    for (let round = 0, quiet = 0; quiet < quietRounds; round++) {
      if (round < eagerRounds) await setImmediate()
      else await setTimeout(1)
      const { activity, sortedGroups } = this.#log
      const isBusy = sortedGroups.some(group => group.isBusy)
      if (activity !== seen) {
        seen = activity
        seenAt = performance.now()
        quiet = 0
      } else if (!isBusy) quiet++
      else if (performance.now() - seenAt > this.#stallTimeoutMs)
        return `${this.#running()} for ${this.#stallTimeoutMs} ms`
    }
    return undefined
  }

  #running(): string {
    const groups = this.#log.sortedGroups.filter(({ state }) => state.inFlight > 0)
    return `the app is not idle: ${groups.map(({ group }) => group).join(', ')} has been running`
  }
}

/** A time in UTC, for people: `2026-01-31 00:00:00.000`. */
export const timeText = (ms: number) => new Date(ms).toISOString().replace('T', ' ').replace('Z', '')

/** A clock that stands still until a test moves it, so that a wait of a month takes no time. */
export class VirtualClock implements Clock {
  #now: number
  readonly #timers = new Set<{ readonly due: number; readonly callback: () => void }>()

  /** `start`: ms since the epoch. */
  constructor(start: number) {
    this.#now = start
  }

  readonly now: Now = () => this.#now

  after(ms: number, callback: () => void): () => void {
    return this.at(this.#now + ms, callback)
  }

  at(due: number, callback: () => void): () => void {
    const timer = { due: Math.ceil(due), callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** When the next timer is due, which may be now; undefined if there is none. */
  get next(): number | undefined {
    if (this.#timers.size === 0) return undefined
    let first = Infinity
    for (const { due } of this.#timers) first = Math.min(first, due)
    return Math.max(first, this.#now)
  }

  /** Moves on to this time, never back, and calls what is due then. */
  moveTo(ms: number): void {
    this.#now = Math.max(ms, this.#now)
    const due = [...this.#timers].filter(timer => timer.due <= this.#now).toSorted((a, b) => a.due - b.due)
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback()
  }
}
