import type { Rule } from './schedule-rule.ts'

/*
 * Which due moments are to be fired now: pure, so that any jump of a clock can be tried.
 *
 * A process *attends* a schedule from when it began to look at its clock, as long as that goes on evenly. What is due then
 * is fired, however long the log is away. What was due when nobody attended, or was jumped over, is *missed*, and catch-up
 * says what becomes of it.
 */

export type CatchUp = 'none' | 'last' | 'all'

/** What all processes know of a schedule. Times are ms since the epoch. */
export interface Progress {
  readonly rule: string
  /** What was due until then has been dealt with, */
  readonly after: number
  /** except for this, the last that was skipped: after the first moment, until the second. A clock may come to it again. */
  readonly skipped?: Range
}

export type Range = readonly [after: number, until: number]

export interface Firing {
  readonly due: number
  readonly missed: boolean
}

export interface Plan {
  /** Oldest first. */
  readonly firings: readonly Firing[]
  /** Missed, and not to be fired. */
  readonly skipped?: Range
  /** What is due until then is in this plan. */
  readonly until: number
}

/** Most moments that are caught up with, or taken in one plan. */
export const mostAtOnce = 1_000

const kept: Record<CatchUp, number> = { none: 0, last: 1, all: mostAtOnce }

/** `from`: when this process began to attend; `looked`: until when it has dealt with what was due since. */
export function planOf(
  rule: Rule,
  catchUp: CatchUp,
  progress: Progress,
  from: number,
  looked: number,
  now: number,
): Plan {
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

function dueBetween(rule: Rule, after: number, until: number): number[] {
  const found: number[] = []
  for (let due = rule.next(after); due !== undefined && due <= until; due = rule.next(due)) {
    found.push(due)
    if (found.length === mostAtOnce) break
  }
  return found
}

const isOpen = ({ after, skipped }: Progress, due: number) =>
  due > after || (skipped !== undefined && due > skipped[0] && due <= skipped[1])

export const withFired = ({ rule, after, skipped }: Progress, due: number): Progress => ({
  rule,
  after: Math.max(after, due),
  ...(skipped && { skipped: due <= skipped[1] ? [Math.max(skipped[0], due), skipped[1]] : skipped }),
})

export const withSkipped = ({ rule, after }: Progress, skipped: Range): Progress => ({
  rule,
  after: Math.max(after, skipped[1]),
  skipped,
})
