import { Cron } from 'croner'
import { textOf, TidingsError } from '../../errors.ts'
import { milliseconds, type Duration } from '../../tasks/duration.ts'

/** Due moments, in ms since the epoch: the same ones in every process. */
export interface ScheduleRule {
  /** Another text is another rule. */
  readonly text: string
  /** The first one after a moment; undefined where there is none any more. */
  next(after: number): number | undefined
  /** The newest so many between two moments, both excluded, oldest first. */
  newest(count: number, after: number, before: number): number[]
}

const shortestMs = 1_000

/** @throws E_APP_INVALID for an expression or a zone that cannot be read, and for one that is never due. */
export function cronRule(expression: string, zone = 'UTC'): ScheduleRule {
  const cron = read(expression, zone)
  const next = (after: number) => cron.nextRun(new Date(after))?.getTime()
  const newest = (count: number, after: number, before: number) => {
    const first = from(next, after, before, count)
    if (first.length < count || count === 0) return first
    const last = cron.previousRuns(count, new Date(before)).map(due => due.getTime())
    return last.filter(due => due > after && due < before).reverse()
  }
  return { text: `${expression} ${zone}`, next, newest }
}

/** The first so many between two moments. */
function from(next: ScheduleRule['next'], after: number, before: number, count: number): number[] {
  const found: number[] = []
  for (let due = next(after); due !== undefined && due < before && found.length < count; due = next(due))
    found.push(due)
  return found
}

function read(expression: string, zone: string): Cron {
  let cron: Cron
  let next: Date | null
  try {
    cron = new Cron(expression, { timezone: zone })
    next = cron.nextRun()
  } catch (cause) {
    throw invalid(`cron "${expression}" in zone ${zone}: ${textOf(cause)}`, cause)
  }
  if (cron.getOnce()) throw invalid(`cron "${expression}" is a moment; a schedule is due again and again`)
  if (!next) throw invalid(`cron "${expression}" in zone ${zone} is never due`)
  return cron
}

/** Every so often, counted from the epoch, whenever a process started. @throws E_APP_INVALID */
export function intervalRule(every: Duration): ScheduleRule {
  const step = wholeMs(every)
  return {
    text: `every ${every}`,
    next: after => (Math.floor(after / step) + 1) * step,
    newest: (count, after, before) => {
      const last = (Math.ceil(before / step) - 1) * step
      return Array.from({ length: count }, (_, i) => last - (count - 1 - i) * step).filter(due => due > after)
    },
  }
}

function wholeMs(every: Duration): number {
  const ms = readDuration(every)
  if (!Number.isInteger(ms) || ms < shortestMs) throw invalid(`every "${every}": it takes a second or more`)
  return ms
}

function readDuration(every: Duration): number {
  try {
    return milliseconds(every)
  } catch (cause) {
    throw invalid(`every: ${textOf(cause)}`, cause)
  }
}

const invalid = (text: string, cause?: unknown) => new TidingsError('E_APP_INVALID', text, { cause })
