import { useSettings } from '../shell/settings.ts'
import { fullTimeText, timeText, durationText } from './format.ts'
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
  const [past, text] = [ms <= now, durationText(Math.max(0, Math.floor(Math.abs(now - ms) / 1_000) * 1_000))]
  const rounded =
    // The clock of this page ticks once a second, and may be behind.
    Math.abs(now - ms) < 1_500
      ? 'now'
      : past
        ? `${text.replace(/\.0 s$/, ' s')} ago`
        : `in ${text.replace(/\.0 s$/, ' s')}`
  return (
    <time dateTime={new Date(ms).toISOString()} title={fullTimeText(ms, zone)}>
      {rounded}
    </time>
  )
}
