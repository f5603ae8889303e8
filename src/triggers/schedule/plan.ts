import { dueBetween, type ScheduleRule } from './rule.ts'

/*
 * Decides which due times to fire now. Pure, so that tests can try any jump of a clock.
 *
 * A process *watches* a schedule from its first look at the clock until the clock jumps. A due time in that period is fired,
 * even if the log is unavailable for long. A due time that no process watched, or that the clock jumped over, is *missed*, and
 * catch-up decides about it.
 */

export type CatchUp = 'none' | 'last' | 'all'

/** The state of a schedule that all processes share. Times are ms since the epoch. */
export interface ScheduleProgress {
  readonly rule: string
  /** Due times until then are handled, except for the skipped ones. */
  readonly after: number
  /** Newest first. A clock that is set back reaches them again. */
  readonly skipped: readonly TimeRange[]
}

/** Excludes the first moment, includes the second. */
export type TimeRange = readonly [after: number, until: number]

export interface Firing {
  readonly due: number
  readonly missed: boolean
}

export interface FiringPlan {
  /** Oldest first. */
  readonly firings: readonly Firing[]
  /** Missed, and not fired. */
  readonly skipped?: TimeRange
  /** The plan covers due times until then. */
  readonly until: number
}

/** Of one plan, and of a catch-up. */
const maxFirings = 1_000

const maxCaughtUp: Record<CatchUp, number> = { none: 0, last: 1, all: maxFirings }

export interface PlanInput {
  readonly rule: ScheduleRule
  readonly catchUp: CatchUp
  readonly progress: ScheduleProgress
  /** When this process began to watch. */
  readonly from: number
  /** Until when it has handled due times since then. */
  readonly handledUntil: number
  readonly now: number
}

export function planFirings({ rule, catchUp, progress, from, handledUntil, now }: PlanInput): FiringPlan {
  const { after } = progress
  const missed = after < from ? rule.newest(maxCaughtUp[catchUp], after, from) : []
  const until = missed[0] ?? from
  const first = after < from ? rule.next(after) : undefined
  const watched = dueBetween(rule.next, Math.max(handledUntil, from - 1), now + 1)
    .take(maxFirings)
    .toArray()
  const open = watched.filter(due => isOpen(progress, due))
  return {
    firings: [...missed.map(due => ({ due, missed: true })), ...open.map(due => ({ due, missed: false }))],
    ...(first !== undefined && first < until && { skipped: [after, until - 1] as const }),
    until: watched.length < maxFirings ? now : watched.at(-1)!,
  }
}

const isOpen = ({ after, skipped }: ScheduleProgress, due: number) =>
  due > after || skipped.some(range => contains(range, due))

const contains = ([after, until]: TimeRange, due: number) => due > after && due <= until

const maxRanges = 8

/** For a new schedule. `from`: as in a plan. */
export const initialProgress = (rule: ScheduleRule, now: number, from: number): ScheduleProgress => ({
  rule: rule.text,
  after: now,
  skipped: [[0, from - 1]],
})

export const withSkipped = (progress: ScheduleProgress, range: TimeRange): ScheduleProgress => ({
  ...progress,
  after: Math.max(progress.after, range[1]),
  skipped: [range, ...progress.skipped].slice(0, maxRanges),
})

export const withFired = (rule: ScheduleRule, progress: ScheduleProgress, due: number): ScheduleProgress => ({
  ...progress,
  after: Math.max(progress.after, due),
  skipped: progress.skipped
    .flatMap((range): TimeRange[] =>
      contains(range, due)
        ? [
            [due, range[1]],
            [range[0], due - 1],
          ]
        : [range],
    )
    .filter(([after, until]) => (rule.next(after) ?? Infinity) <= until),
})
