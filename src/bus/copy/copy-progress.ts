import { offsetsOf } from '../cursor.ts'
import type { Driver, Position, TransferRecord } from '../driver.ts'

export interface CopyProgress {
  readonly phase: 'copying' | 'verifying'
  /** Events and turns of this phase until now. */
  readonly events: number
  readonly eventsPerSecond: number
  /** Until the phase ends, as far as positions tell. */
  readonly secondsLeft: number
}

const intervalMs = 500

/** Reports how far a reading of a log is, at most twice a second. */
export class CopyProgressReport {
  readonly #phase: CopyProgress['phase']
  readonly #heads: readonly number[]
  readonly #firsts = new Map<number, number>()
  readonly #last = new Map<number, number>()
  readonly #begun = performance.now()
  readonly #onProgress: ((progress: CopyProgress) => void) | undefined
  #reportedAt = this.#begun
  events = 0

  /** `heads`: the newest offset of each partition of the log that is read. */
  constructor(
    phase: CopyProgress['phase'],
    heads: readonly number[],
    onProgress: ((progress: CopyProgress) => void) | undefined,
  ) {
    this.#phase = phase
    this.#heads = heads
    this.#onProgress = onProgress
  }

  static async of(
    phase: CopyProgress['phase'],
    log: Driver,
    onProgress: ((progress: CopyProgress) => void) | undefined,
  ): Promise<CopyProgressReport> {
    return new CopyProgressReport(phase, offsetsOf(await log.head(), log.partitions), onProgress)
  }

  see(record: TransferRecord): void {
    if (record.kind !== 'event' && record.kind !== 'turn') return
    this.events++
    this.#place(record.position)
    const now = performance.now()
    if (now - this.#reportedAt >= intervalMs) this.#report(now)
  }

  #place({ partition, offset }: Position): void {
    if (!this.#firsts.has(partition)) this.#firsts.set(partition, offset)
    this.#last.set(partition, offset)
  }

  #report(now: number): void {
    this.#reportedAt = now
    let [done, all] = [0, 0]
    for (const [partition, first] of this.#firsts) {
      done += this.#last.get(partition)! - first + 1
      all += this.#heads[partition]! - first + 1
    }
    const seconds = (now - this.#begun) / 1_000
    this.#onProgress?.({
      phase: this.#phase,
      events: this.events,
      eventsPerSecond: Math.round(this.events / seconds),
      secondsLeft: Math.max(0, Math.round((seconds * (all - done)) / Math.max(1, done))),
    })
  }
}
