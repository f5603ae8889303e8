import { Link } from '@tanstack/react-router'
import type { Row } from '../../api/shapes.ts'
import { Dot } from '../../ui/badge.tsx'
import { Time } from '../../ui/time.tsx'
import { publisherName, toneOfType } from './family.ts'
import styles from './event-line.module.css'

/** One event on one line. */
export function EventLine({ row }: { row: Row }) {
  const { type, time, source, target, correlationid, summary } = row
  return (
    <div className={styles.line}>
      <span className={styles.time}>
        <Time at={time} />
      </span>
      <span className={styles.type} style={{ color: `var(--${toneOfType(type)})` }} title={type}>
        <Dot tone={toneOfType(type)} />
        <span className={styles.cut}>{type}</span>
      </span>
      <span className={styles.from} title={target === undefined ? source : `${source} → ${target}`}>
        {publisherName(source)}
        {target !== undefined && <span className={styles.to}> → {target}</span>}
      </span>
      <span className={styles.summary} title={summary} dir="auto">
        {summary}
      </span>
      <Link
        className={styles.correlation}
        to="/traces/$correlation"
        params={{ correlation: correlationid }}
        title={`Trace of ${correlationid}`}
        tabIndex={-1}
        onClick={event => event.stopPropagation()}
      >
        {correlationid.slice(-6)}
      </Link>
    </div>
  )
}
