import type { Bus } from '../bus/bus.ts'
import { isTypePattern } from '../pattern.ts'
import { durationPattern } from '../options.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import type { Selection } from '../replay/selection.ts'
import { resolveCorrelation, resolveTask } from './log.ts'
import { usageError } from './output.ts'

/** The part of the log that a command works on. */
export interface SelectionOptions {
  task?: string
  correlation?: string
  /** A duration before now, or a date. */
  since?: string
  until?: string
}

export const isSelective = ({ task, correlation, since, until }: SelectionOptions) =>
  (task ?? correlation ?? since ?? until) !== undefined

/** Without options: the whole log. @throws E_USAGE, E_NOT_FOUND, E_AMBIGUOUS */
export async function parseSelection(bus: Bus, options: SelectionOptions): Promise<Selection> {
  const { task, correlation, since, until } = options
  if ([task, correlation, since ?? until].filter(each => each !== undefined).length > 1)
    throw usageError('--task, --correlation and --since/--until exclude each other: give one of them')
  if (task !== undefined) return { task: await resolveTask(bus, task) }
  if (correlation !== undefined) return { correlation: await resolveCorrelation(bus, correlation) }
  if (since === undefined && until === undefined) return { all: true }
  return { since: since === undefined ? 0 : parseTime(since), ...(until !== undefined && { until: parseTime(until) }) }
}

/** @throws E_USAGE */
export function assertTypePatterns(patterns: readonly string[] = []): void {
  for (const pattern of patterns) {
    const isValid: boolean = isTypePattern(pattern)
    if (!isValid) throw usageError(`"${pattern}" is not an event type or a pattern such as order.*`)
  }
}

/** A duration before now such as `24h`, or a date, as ms since the epoch. `others`: further forms, for the error. @throws E_USAGE */
export function parseTime(text: string, others = ''): number {
  if (durationPattern.test(text)) return Date.now() - milliseconds(text as Duration)
  const moment = Date.parse(text)
  if (Number.isNaN(moment))
    throw usageError(`"${text}" is not a time: expected a duration such as 24h, a date such as 2026-11-20${others}`)
  return moment
}
