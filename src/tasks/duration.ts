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

/** The largest time value of a Date. */
const maxDateMs = 8.64e15

/** When a wait that begins now times out, null for never. @throws E_SETTING_INVALID */
export function deadlineFrom(now: number, bound: Timeout): number | null {
  if (bound === 'forever') return null
  const until = now + milliseconds(bound)
  if (until <= maxDateMs) return until
  throw new TidingsError('E_SETTING_INVALID', `"${bound}" ends after the largest possible date: use "forever"`)
}
