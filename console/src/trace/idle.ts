import type { TraceLine } from './trace-lines.ts'

/** A period in which nothing happened, in ms since the epoch. */
export interface Idle {
  readonly from: number
  readonly to: number
}

const maxIdles = 8
const minIdleMs = 2_000
/** A longer part of what is not idle would leave no room for the rest. */
const maxShare = 0.3

/** The periods in which nothing happened for so long that a time axis to scale would show little else. */
export function idlesOf(lines: readonly TraceLine[]): Idle[] {
  const times: number[] = []
  for (const { from, to, spans, turns } of lines) {
    times.push(from, to, ...turns)
    for (const span of spans) times.push(span.from, span.to)
  }
  return longestIdles(Float64Array.from(times.filter(Number.isFinite)).sort())
}

/** @param times in order */
export function longestIdles(times: Float64Array | readonly number[]): Idle[] {
  const gaps: Idle[] = []
  for (let i = 1; i < times.length; i++)
    if (times[i]! - times[i - 1]! > minIdleMs) gaps.push({ from: times[i - 1]!, to: times[i]! })
  gaps.sort((one, other) => other.to - other.from - (one.to - one.from))
  let left = (times.at(-1) ?? 0) - (times[0] ?? 0)
  const idles: Idle[] = []
  for (const gap of gaps.slice(0, maxIdles)) {
    const length = gap.to - gap.from
    if (length < maxShare * left) break
    left -= length
    idles.push(gap)
  }
  return idles.toSorted((one, other) => one.from - other.from)
}

/** Also the time since the last event, while the trace goes on. */
export function idlesUntil({ from, to, idles }: { from: number; to: number; idles: readonly Idle[] }, end: number) {
  const busy = idles.reduce((left, idle) => left - (idle.to - idle.from), end - from)
  return end - to > Math.max(minIdleMs, maxShare * busy) ? [...idles, { from: to, to: end }] : idles
}
