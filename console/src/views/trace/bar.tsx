import type { TimeSpan } from '../../../../src/trace/spans.ts'
import type { TimeScale } from '../../trace/time-scale.ts'
import type { TraceLine } from '../../trace/trace-lines.ts'
import { toneStyle, type Tone } from '../../ui/badge.tsx'
import { durationText } from '../../ui/format.ts'
import { at, between } from './time-axis.tsx'
import styles from './bar.module.css'

interface BarProps {
  readonly line: TraceLine
  readonly scale: TimeScale
  readonly now: number
  readonly tone: Tone
}

/** More marks than this would be one black line. */
const maxTurns = 200

/** The times of a line on the axis. */
export function Bar({ line, scale, now, tone }: BarProps) {
  const { from, spans, turns, task, status } = line
  const idles = scale.idles.map(idle => (
    <span key={idle.from} className={styles.idle} style={between(scale.x(idle.from), scale.x(idle.to))} />
  ))
  if (spans.length === 0)
    return (
      <>
        {idles}
        {isIn(scale.x(from)) && (
          <span
            className={styles.moment}
            data-late={status === 'late' || undefined}
            style={{ ...at(scale.x(from)), ...toneStyle(tone) }}
          />
        )}
      </>
    )
  const shownTurns = turns.length <= maxTurns ? turns : []
  return (
    <>
      {idles}
      <div
        className={styles.spans}
        title={timesText(spans, now)}
        style={toneStyle(tone)}
        data-task={task !== undefined || undefined}
      >
        {spans.map(({ kind, from: begin, to }) => {
          const [x, end] = [scale.x(begin), scale.x(Math.min(to, now))]
          if (end < 0 || x > 1) return null
          const style = between(Math.max(0, x), Math.max(Math.max(0, x), Math.min(1, end)))
          return (
            <span
              key={begin}
              className={styles.span}
              data-kind={kind}
              data-open={to === Infinity || undefined}
              style={style}
            />
          )
        })}
        {spans.map(({ kind, from: begin }) =>
          kind === 'backoff' && isIn(scale.x(begin)) ? (
            <span key={begin} className={styles.attempt} style={at(scale.x(begin))} />
          ) : null,
        )}
        {shownTurns.map((turn, i) =>
          isIn(scale.x(turn)) ? <span key={i} className={styles.turn} style={at(scale.x(turn))} /> : null,
        )}
      </div>
    </>
  )
}

const isIn = (x: number) => x >= 0 && x <= 1

const words = { queued: 'queued', running: 'ran', waiting: 'waited', backoff: 'before the next attempt' } as const

function timesText(spans: readonly TimeSpan[], now: number): string {
  const sums = new Map<TimeSpan['kind'], number>()
  for (const { kind, from, to } of spans) sums.set(kind, (sums.get(kind) ?? 0) + Math.max(0, Math.min(to, now) - from))
  return [...sums].map(([kind, ms]) => `${words[kind]} ${durationText(ms)}`).join(' · ')
}
