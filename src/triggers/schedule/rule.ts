import { Cron } from 'croner'
import { textOf, TidingsError } from '../../errors.ts'
import { milliseconds, type Duration } from '../../tasks/duration.ts'

/** Computes due times, in ms since the epoch, identically in every process. */
export interface ScheduleRule {
  /** Identifies the rule. */
  readonly text: string
  /** The first due time after a moment; undefined if there is none. */
  next(after: number): number | undefined
  /** The newest `count` due times between two moments, both excluded, oldest first. */
  newest(count: number, after: number, before: number): number[]
}

const minIntervalMs = 1_000

/** @throws E_APP_INVALID for an invalid expression or zone, and for a rule that is never due. */
export function cronRule(expression: string, zone = 'UTC'): ScheduleRule {
  const cron = parseCron(expression, zone)
  const next = (after: number) => cron.nextRun(new Date(after))?.getTime()
  const newest = (count: number, after: number, before: number) => {
    const first = dueBetween(next, after, before).take(count).toArray()
    if (first.length < count || count === 0) return first
    const last = cron.previousRuns(count, new Date(before)).map(due => due.getTime())
    return last.filter(due => due > after && due < before).reverse()
  }
  return { text: `${expression} ${zone}`, next, newest }
}

/** Both moments are excluded. */
export function* dueBetween(next: ScheduleRule['next'], after: number, before: number): Generator<number> {
  for (let due = next(after); due !== undefined && due < before; due = next(due)) yield due
}

function parseCron(expression: string, zone: string): Cron {
  let cron: Cron
  let next: Date | null
  try {
    cron = new Cron(expression, { timezone: zone })
    next = cron.nextRun()
  } catch (cause) {
    throw invalid(`cron "${expression}" in zone ${zone}: ${textOf(cause)}`, cause)
  }
  if (cron.getOnce()) throw invalid(`cron "${expression}" is a single moment; a schedule must repeat`)
  if (!next) throw invalid(`cron "${expression}" in zone ${zone} is never due`)
  return cron
}

/** Multiples of an interval since the epoch, independent of process starts. @throws E_APP_INVALID */
export function intervalRule(every: Duration): ScheduleRule {
  const step = intervalMs(every)
  return {
    text: `every ${every}`,
    next: after => (Math.floor(after / step) + 1) * step,
    newest: (count, after, before) => {
      const last = (Math.ceil(before / step) - 1) * step
      return Array.from({ length: count }, (_, i) => last - (count - 1 - i) * step).filter(due => due > after)
    },
  }
}

function intervalMs(every: Duration): number {
  let ms: number
  try {
    ms = milliseconds(every)
  } catch (cause) {
    throw invalid(`every: ${textOf(cause)}`, cause)
  }
  if (Number.isInteger(ms) && ms >= minIntervalMs) return ms
  throw invalid(`every "${every}" is too short or not whole milliseconds; use a second or more`)
}

const invalid = (text: string, cause?: unknown) => new TidingsError('E_APP_INVALID', text, { cause })
