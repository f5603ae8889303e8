import { shownTarget } from '../../../../src/bus/tapped.ts'
import type { Row } from '../../api/shapes.ts'
import { TraceLink } from '../../api/source.tsx'
import { Dot } from '../../ui/badge.tsx'
import { Time } from '../../ui/time.tsx'
import { publisherName, toneOfType } from './family.ts'
import styles from './event-line.module.css'

/** One event on one line. */
export function EventLine({ row }: { row: Row }) {
  const { type, time, source, correlationid, summary } = row
  const target = shownTarget(row)
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
      <TraceLink
        className={styles.correlation}
        correlation={correlationid}
        at={row.id}
        title={`Trace of ${correlationid}`}
        tabIndex={-1}
      >
        {correlationid.slice(-6)}
      </TraceLink>
    </div>
  )
}
