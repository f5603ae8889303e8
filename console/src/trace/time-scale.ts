import { durationText } from '../ui/format.ts'
import type { Period } from './idle.ts'

/** How wide a folded period is, as a share of the axis. */
const idleShare = 0.035
const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000] // biome-ignore format: one list

export interface Tick {
  /** From 0 to 1. */
  readonly x: number
  readonly text: string
}

/** The time axis of a trace: a period in ms since the epoch, in which long idle times are folded. */
export class TimeScale {
  readonly from: number
  readonly to: number
  readonly idles: readonly Period[]
  readonly #perMs: number

  constructor(from: number, to: number, idles: readonly Period[] = []) {
    this.from = from
    this.to = Math.max(to, from + 1)
    this.idles = idles.flatMap(idle => {
      const cut = { from: Math.max(idle.from, this.from), to: Math.min(idle.to, this.to) }
      return cut.to > cut.from ? [cut] : []
    })
    const busy = this.idles.reduce((left, idle) => left - (idle.to - idle.from), this.to - this.from)
    this.#perMs = (1 - idleShare * this.idles.length) / Math.max(busy, 1)
  }

  /** The place of a time: 0 at the beginning, 1 at the end, less or more outside. */
  x(ms: number): number {
    let x = 0
    let at = this.from
    for (const { from, to } of this.idles) {
      if (ms <= from) break
      x += (from - at) * this.#perMs
      if (ms < to) return x + (idleShare * (ms - from)) / (to - from)
      x += idleShare
      at = to
    }
    return x + (ms - at) * this.#perMs
  }

  /** The time at a place. */
  at(x: number): number {
    let left = x
    let at = this.from
    for (const { from, to } of this.idles) {
      const busy = (from - at) * this.#perMs
      if (left <= busy) break
      left -= busy
      if (left < idleShare) return from + (left / idleShare) * (to - from)
      left -= idleShare
      at = to
    }
    return at + left / this.#perMs
  }

  /** At most so many round times, as the time since the beginning of the trace. */
  ticks(begin: number, max: number): Tick[] {
    const visibleMs = 1 / this.#perMs
    const step = steps.find(each => visibleMs / each <= max) ?? 86_400_000 * Math.ceil(visibleMs / 86_400_000 / max)
    const ticks: Tick[] = []
    for (let ms = begin + Math.ceil((this.from - begin) / step) * step; ms <= this.to; ms += step) {
      const idle = this.idles.find(({ from, to }) => ms > from && ms < to)
      if (idle) ms = begin + Math.floor((idle.to - begin) / step) * step
      else ticks.push({ x: this.x(ms), text: ms === begin ? '0' : durationText(ms - begin).replace('.0 s', ' s') })
    }
    return ticks.filter(({ x }, i) => i === 0 || x - ticks[i - 1]!.x > 0.7 / max)
  }
}
