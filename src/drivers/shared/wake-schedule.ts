import { ClockWatch, clockPollIntervalMs, type Now } from '../../bus/clock.ts'
import { Heap } from './heap.ts'

/** When a task is to be woken; null for never. `seq`: of the turn that said so, in the order of the log. */
export interface TaskWake {
  readonly wake: number | null
  readonly seq: number
}

/** The live tasks of a shard, as its owner knows them. */
export interface WakeSource {
  readonly live: ReadonlyMap<string, TaskWake>
}

interface WakeCall {
  readonly task: string
  readonly shard: WakeSource
  readonly due: number
  /** Sequence of the turn that asked for it; a later turn cancels it. */
  readonly seq: number
  /** The pause before it is repeated. */
  readonly pause: number
}

const minPauseMs = 500
const maxPauseMs = 30_000
/** Maximum number of wake-ups that wait for an answer or the end of their first pause, as each reads a journal. */
const maxPending = 512
/** While the maximum is reached, answers are checked at this interval. */
const fullPollIntervalMs = 5

/**
 * Wakes the tasks of the owned shards when due, and repeats with backoff until a task answers by a turn. One timer for all
 * tasks.
 */
export class WakeSchedule {
  #calls = new Heap<WakeCall>()
  readonly #now: Now
  readonly #clock: ClockWatch
  readonly #wake: (task: string, due: number) => void
  /** Calls that have until then to be answered. */
  #pending: { readonly call: WakeCall; readonly until: number }[] = []
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #compactAt = 4_096
  #closed = false

  constructor(wake: (task: string, due: number) => void, now: Now) {
    this.#wake = wake
    this.#now = now
    this.#clock = new ClockWatch(now)
  }

  changed(shard: WakeSource, task: string, { wake, seq }: TaskWake): void {
    if (wake === null) return
    this.#calls.push(wake, { shard, task, due: wake, seq, pause: minPauseMs })
    this.#compact()
    this.#arm()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #callDue(): void {
    this.#timer = undefined
    this.#timerAt = Infinity
    const now = this.#now()
    // The clock was set back, so the pauses no longer hold.
    if (this.#clock.moved() < 0) {
      this.#pending = []
      this.#rebuild(call => this.#calls.push(call.due, { ...call, pause: minPauseMs }))
    }
    this.#pending = this.#pending.filter(({ call, until }) => until > now && isCurrent(call))
    while (this.#calls.next <= now && this.#pending.length < maxPending) {
      const call = this.#calls.pop()!
      if (!isCurrent(call)) continue
      this.#pending.push({ call, until: now + minPauseMs })
      this.#wake(call.task, call.due)
      const pause = Math.min(call.pause * 2, maxPauseMs)
      this.#calls.push(now + call.pause, { ...call, pause })
    }
    this.#arm()
  }

  #arm(): void {
    if (this.#closed || this.#calls.next >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = this.#calls.next
    const wait = Math.max(this.#pending.length < maxPending ? 0 : fullPollIntervalMs, this.#timerAt - this.#now())
    this.#timer = setTimeout(() => this.#callDue(), Math.min(wait, clockPollIntervalMs))
  }

  /** Outdated calls are removed only when they are the majority. */
  #compact(): void {
    if (this.#calls.size < this.#compactAt) return
    this.#rebuild((call, at) => this.#calls.push(at, call))
    this.#compactAt = 2 * this.#calls.size + 4_096
  }

  /** `reinsert` puts a current call back. */
  #rebuild(reinsert: (call: WakeCall, at: number) => void): void {
    const before = this.#calls
    this.#calls = new Heap()
    for (let at = before.next, call = before.pop(); call; at = before.next, call = before.pop())
      if (isCurrent(call)) reinsert(call, at)
  }
}

const isCurrent = ({ shard, task, due, seq }: WakeCall) => {
  const state = shard.live.get(task)
  return state?.wake === due && state.seq === seq
}
