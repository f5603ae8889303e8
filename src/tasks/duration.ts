import { TidingsError } from '../errors.ts'
import { durationPattern } from '../options.ts'

/** Milliseconds as a number, or text such as `500ms`, `30s`, `10m`, `3h`, `2d`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** Maximum time of a wait. Only an explicit `'forever'` has no limit. */
export type Timeout = Duration | 'forever'

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** @throws E_SETTING_INVALID for anything else, including negative and non-finite numbers */
export function milliseconds(duration: Duration): number {
  const match = durationPattern.exec(String(duration))
  const ms = match ? Number(match[1]) * units[match[2] as keyof typeof units] : Number(duration)
  if (!Number.isFinite(ms) || ms < 0)
    throw new TidingsError(
      'E_SETTING_INVALID',
      `"${duration}" is not a duration: use a number of milliseconds, or a text such as "30s", "10m" or "2d"`,
    )
  return ms
}

const written = /^\s*(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|seconds?|m|minutes?|h|hours?|d|days?)\s*$/

/**
 * Reads a duration from a setting, such as an environment variable: `30m`, `30 minutes`, `1 day`. Code writes durations in the short form.
 * @param setting where the text comes from, for the error
 * @throws E_SETTING_INVALID
 * @example
 * const within = duration(process.env.PAYMENT_WITHIN ?? '14 days', 'PAYMENT_WITHIN')
 */
export function duration(text: string, setting = 'the setting'): Duration {
  const [, count, unit] = written.exec(text) ?? []
  if (count !== undefined && unit !== undefined && Number.isFinite(Number(count)))
    return `${Number(count)}${/^mi?l?l?i?s/.test(unit) ? 'ms' : (unit[0] as 's' | 'm' | 'h' | 'd')}`
  throw new TidingsError(
    'E_SETTING_INVALID',
    `${setting} is "${text}", which is not a duration: expected a number and its unit, such as "30s", "30 minutes" or "2 days"`,
  )
}

/** The largest time value of a Date. */
const maxDateMs = 8.64e15

/** When a wait that begins now times out, null for never. @throws E_SETTING_INVALID */
export function deadlineFrom(now: number, bound: Timeout): number | null {
  if (bound === 'forever') return null
  const until = now + milliseconds(bound)
  if (until <= maxDateMs) return until
  throw new TidingsError('E_SETTING_INVALID', `"${bound}" ends after the largest possible date: use "forever"`)
}
