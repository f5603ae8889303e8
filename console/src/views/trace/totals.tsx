import type { TraceTotals } from '../../trace/trace-lines.ts'
import { Badge, Dot } from '../../ui/badge.tsx'
import { costText, countFull, countShort, durationText } from '../../ui/format.ts'
import { Time } from '../../ui/time.tsx'
import styles from './trace.module.css'

interface TotalsProps {
  readonly totals: TraceTotals
  /** Whether all of it has been read. */
  readonly isComplete: boolean
  readonly isLive: boolean
  readonly end: number
}

/** A trace in numbers. */
export function Totals({ totals, isComplete, isLive, end }: TotalsProps) {
  const { events, tasks, calls, failed, open, tokens, cost, from } = totals
  return (
    <div className={styles.totals}>
      {!isComplete ? (
        <span role="status">reading …</span>
      ) : isLive ? (
        <span className={styles.live} role="status">
          <Dot tone="running" pulsing /> {countFull(open)} open
        </span>
      ) : open > 0 ? (
        <Badge tone="waiting" dot>
          {countFull(open)} open
        </Badge>
      ) : failed > 0 ? (
        <Badge tone="failed" dot>
          {countFull(failed)} failed
        </Badge>
      ) : (
        <Badge tone="ok" dot>
          ended
        </Badge>
      )}
      <Fact name="began">
        <Time at={from} />
      </Fact>
      <Fact name="took">{durationText(end - from)}</Fact>
      <Fact name="events">{countFull(events)}</Fact>
      <Fact name="tasks">{countFull(tasks)}</Fact>
      <Fact name="calls">{countFull(calls)}</Fact>
      {tokens > 0 && (
        <Fact name="tokens">
          <span title={countFull(tokens)}>{countShort(tokens)}</span>
        </Fact>
      )}
      {cost > 0 && <Fact name="cost">{costText(cost)}</Fact>}
    </div>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <span className={styles.fact}>
      <span>{name}</span> {children}
    </span>
  )
}
