import { useSettings } from '../shell/settings.ts'
import { ageText, fullTimeText, timeText } from './format.ts'
import { useNow } from './use-now.ts'

const msOf = (at: number | string) => (typeof at === 'number' ? at : Date.parse(at))

/** A point in time, in the zone that the person chose. */
export function Time({ at }: { at: number | string }) {
  const { zone } = useSettings()
  const ms = msOf(at)
  if (!Number.isFinite(ms)) return <span>{String(at)}</span>
  return (
    <time dateTime={new Date(ms).toISOString()} title={fullTimeText(ms, zone)}>
      {timeText(ms, zone)}
    </time>
  )
}

/** How long ago something was, or in how long it will be; it goes on. */
export function Age({ since }: { since: number | string }) {
  const { zone } = useSettings()
  const now = useNow()
  const ms = msOf(since)
  const text = ageText(Math.abs(now - ms))
  // The clock of this page ticks once a second, and may be behind.
  const rounded = Math.abs(now - ms) < 1_500 ? 'now' : ms <= now ? `${text} ago` : `in ${text}`
  return (
    <time dateTime={new Date(ms).toISOString()} title={fullTimeText(ms, zone)}>
      {rounded}
    </time>
  )
}
