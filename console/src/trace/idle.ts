import type { TimeSpan } from '../../../src/trace/spans.ts'
import type { TraceLine } from './trace-lines.ts'

/** A period in ms since the epoch. */
export interface Period {
  readonly from: number
  readonly to: number
}

const maxIdles = 8
const minIdleMs = 2_000
/** A longer part of what is not idle would leave no room for the rest. */
const maxShare = 0.3

/** A call in a queue is not idle: somebody waits for a worker. */
const isWork: ReadonlySet<TimeSpan['kind']> = new Set(['running', 'queued'])

/** The periods in which something happened, or a call ran or was in a queue, in order. Tasks only wait meanwhile. */
export function busyPeriods(lines: readonly TraceLine[]): Period[] {
  const all: Period[] = []
  for (const { from, to, spans, task } of lines) {
    all.push({ from, to: from })
    if (to !== Infinity) all.push({ from: to, to })
    if (task === undefined) for (const span of spans) if (isWork.has(span.kind)) all.push(span)
  }
  all.sort((one, other) => one.from - other.from)
  const busy: { from: number; to: number }[] = []
  for (const { from, to } of all) {
    const last = busy.at(-1)
    if (last && from <= last.to) last.to = Math.max(last.to, to)
    else busy.push({ from, to })
  }
  return busy
}

/** The periods in which nothing happened for so long that a time axis to scale would show little else. */
export function longIdles(busy: readonly Period[], end: number): Period[] {
  const begin = busy[0]?.from ?? end
  const gaps = busy.flatMap(({ to: from }, i) => {
    const to = busy[i + 1]?.from ?? end
    return to - from > minIdleMs ? [{ from, to }] : []
  })
  gaps.sort((one, other) => other.to - other.from - (one.to - one.from))
  let left = end - begin
  const idles: Period[] = []
  for (const gap of gaps.slice(0, maxIdles)) {
    const length = gap.to - gap.from
    if (length < maxShare * left) break
    left -= length
    idles.push(gap)
  }
  return idles.toSorted((one, other) => one.from - other.from)
}

/** Also the time since the last call ended, while the trace goes on. */
export function idlesUntil(
  { from, busyUntil, idles }: { from: number; busyUntil: number; idles: readonly Period[] },
  end: number,
): readonly Period[] {
  const left = idles.reduce((sum, idle) => sum - (idle.to - idle.from), end - from)
  const isIdle = end - busyUntil > Math.max(minIdleMs, maxShare * left)
  return isIdle ? [...idles, { from: busyUntil, to: end }] : idles
}
