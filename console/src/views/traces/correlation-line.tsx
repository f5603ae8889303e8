import { shownTarget } from '../../../../src/bus/tapped.ts'
import { shortId } from '../../../../src/trace/short-id.ts'
import { useSource } from '../../api/source.tsx'
import { Badge, Dot } from '../../ui/badge.tsx'
import { costText, countFull, countShort, durationText } from '../../ui/format.ts'
import { Age, Time } from '../../ui/time.tsx'
import type { CorrelationRow } from '../../worker/protocol.ts'
import { publisherName, toneOfType } from '../event/family.ts'
import styles from './traces.module.css'

/** The columns of a list of traces. */
export function CorrelationHead() {
  return (
    <div className={styles.head} aria-hidden="true">
      <span>Began with</span>
      <span>State</span>
      <span className={styles.when}>Newest activity</span>
      <span className={styles.number}>Took</span>
      <span className={styles.more}>Events</span>
      <span className={styles.more}>Tasks</span>
      <span className={styles.more}>Tokens</span>
      <span className={styles.more}>Cost</span>
    </div>
  )
}

/** A trace on one line. */
export function CorrelationLine({ row }: { row: CorrelationRow }) {
  const { correlation, first, events, tasks, tokens, cost, at } = row
  const isOffline = useSource().origin === 'slice'
  const tone = first ? toneOfType(first.type) : 'other'
  return (
    <div className={styles.line}>
      <span className={styles.first}>
        <span className={styles.what} style={{ color: `var(--${tone})` }}>
          <Dot tone={tone} />
          <b title={first?.type}>{first?.type ?? 'an event that you may not read'}</b>
          {first && (
            <span className={styles.from}>
              {first.target === undefined ? publisherName(first.source) : `→ ${shownTarget(first)}`}
            </span>
          )}
          <span className={styles.id} title={correlation}>
            {shortId(correlation)}
          </span>
        </span>
        <span className={styles.summary} title={first?.summary} dir="auto">
          {first?.summary}
        </span>
      </span>
      <State row={row} />
      <span className={styles.when}>{isOffline ? <Time at={at} /> : <Age since={at} />}</span>
      <span className={styles.number}>{first && durationText(Math.max(0, at - Date.parse(first.time)))}</span>
      <span className={styles.more}>{countFull(events)}</span>
      <span className={styles.more}>{countFull(tasks)}</span>
      <span className={styles.more} title={`${countFull(tokens)} tokens`}>
        {tokens > 0 && countShort(tokens)}
      </span>
      <span className={styles.more}>{cost > 0 && costText(cost)}</span>
    </div>
  )
}

function State({ row: { tasks, live, failed, failedCalls } }: { row: CorrelationRow }) {
  const isOffline = useSource().origin === 'slice'
  return (
    <span className={styles.state}>
      {live > 0 && (
        <Badge tone={isOffline ? 'waiting' : 'running'} dot>
          {countFull(live)} {isOffline ? 'open' : 'live'}
        </Badge>
      )}
      {failed > 0 && (
        <Badge tone="failed" dot>
          {countFull(failed)} failed
        </Badge>
      )}
      {failedCalls > 0 && (
        <Badge tone="failed" dot>
          {countFull(failedCalls)} failed {failedCalls === 1 ? 'call' : 'calls'}
        </Badge>
      )}
      {live + failed + failedCalls === 0 && tasks > 0 && (
        <Badge tone="ok" dot>
          ended
        </Badge>
      )}
    </span>
  )
}
