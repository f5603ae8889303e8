import { useSettings } from '../../shell/settings.ts'
import { toneStyle, type Tone } from '../../ui/badge.tsx'
import { durationText, fullTimeText } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { useNow } from '../../ui/use-now.ts'
import styles from './inbox.module.css'

const soonMs = 60 * 60_000
const urgentMs = 10 * 60_000

/** How long a request can still be answered. It gets louder as less time is left. */
export function Deadline({ since, until }: { since: string; until: string }) {
  const { zone } = useSettings()
  const now = useNow()
  const [begin, end] = [Date.parse(since), Date.parse(until)]
  const left = Math.max(0, end - now)
  const share = end > begin ? left / (end - begin) : 0
  return (
    <span className={styles.deadline} style={toneStyle(toneOf(left))} title={`until ${fullTimeText(end, zone)}`}>
      <Icon name="clock" size={13} />
      {left === 0 ? 'over' : `${durationText(Math.ceil(left / 1_000) * 1_000).replace(/\.0 s$/, ' s')} left`}
      <span className={styles.meter} aria-hidden="true">
        <span style={{ width: `${Math.round(share * 100)}%` }} />
      </span>
    </span>
  )
}

const toneOf = (left: number): Tone => (left < urgentMs ? 'failed' : left < soonMs ? 'waiting' : 'other')
