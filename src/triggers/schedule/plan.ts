import type { ScheduleRule } from './rule.ts'

/*
 * Which due moments are to be fired now: pure, so that any jump of a clock can be tried.
 *
 * A process *attends* a schedule from when it began to look at its clock, as long as that goes on evenly. What is due then
 * is fired, however long the log is away. What was due when nobody attended, or was jumped over, is *missed*, and catch-up
 * says what becomes of it.
 */

export type CatchUp = 'none' | 'last' | 'all'

/** What all processes know of a schedule. Times are ms since the epoch. */
export interface ScheduleProgress {
  readonly rule: string
  /** What was due until then has been dealt with, */
  readonly after: number
  /** except for what was skipped, the newest first: a clock that is set back comes to it again. */
  readonly skipped: readonly TimeRange[]
}

/** After the first moment, until the second. */
export type TimeRange = readonly [after: number, until: number]

export interface Firing {
  readonly due: number
  readonly missed: boolean
}

export interface FiringPlan {
  /** Oldest first. */
  readonly firings: readonly Firing[]
  /** Missed, and not to be fired. */
  readonly skipped?: TimeRange
  /** What is due until then is in this plan. */
  readonly until: number
}

/** Most moments that are caught up with, or taken in one plan. */
const mostAtOnce = 1_000

const kept: Record<CatchUp, number> = { none: 0, last: 1, all: mostAtOnce }

/** `from`: when this process began to attend; `looked`: until when it has dealt with what was due since. */
export function planFirings(
  rule: ScheduleRule,
  catchUp: CatchUp,
  progress: ScheduleProgress,
  from: number,
  looked: number,
  now: number,
): FiringPlan {
  const { after } = progress
  const missed = after < from ? rule.newest(kept[catchUp], after, from) : []
  const until = missed[0] ?? from
  const first = after < from ? rule.next(after) : undefined
  const firings = missed.map(due => ({ due, missed: true }))
  const due = dueBetween(rule, Math.max(looked, from - 1), now)
  for (const each of due) if (isOpen(progress, each)) firings.push({ due: each, missed: false })
  return {
    firings,
    ...(first !== undefined && first < until && { skipped: [after, until - 1] as const }),
    until: due.length < mostAtOnce ? now : due.at(-1)!,
  }
}

function dueBetween(rule: ScheduleRule, after: number, until: number): number[] {
  const found: number[] = []
  for (let due = rule.next(after); due !== undefined && due <= until; due = rule.next(due)) {
    found.push(due)
    if (found.length === mostAtOnce) break
  }
  return found
}

const isOpen = ({ after, skipped }: ScheduleProgress, due: number) =>
  due > after || skipped.some(range => holds(range, due))

const holds = ([after, until]: TimeRange, due: number) => due > after && due <= until

const rangesKept = 8

/** Where there was no schedule before. `from`: as in a plan. */
export const initialProgress = (rule: ScheduleRule, now: number, from: number): ScheduleProgress => ({
  rule: rule.text,
  after: now,
  skipped: [[0, from - 1]],
})

export const withSkipped = (progress: ScheduleProgress, range: TimeRange): ScheduleProgress => ({
  ...progress,
  after: Math.max(progress.after, range[1]),
  skipped: [range, ...progress.skipped].slice(0, rangesKept),
})

export const withFired = (rule: ScheduleRule, progress: ScheduleProgress, due: number): ScheduleProgress => ({
  ...progress,
  after: Math.max(progress.after, due),
  skipped: progress.skipped
    .flatMap((range): TimeRange[] =>
      holds(range, due)
        ? [
            [due, range[1]],
            [range[0], due - 1],
          ]
        : [range],
    )
    .filter(([after, until]) => (rule.next(after) ?? Infinity) <= until),
})
