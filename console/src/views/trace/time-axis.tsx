import { type CSSProperties, useLayoutEffect, useRef, useState } from 'react'
import type { TimeScale } from '../../trace/time-scale.ts'
import { durationText } from '../../ui/format.ts'
import styles from './trace.module.css'

export const at = (x: number) => ({ insetInlineStart: `${(x * 100).toFixed(3)}%` }) satisfies CSSProperties
export const between = (x: number, to: number) =>
  ({ insetInlineStart: `${(x * 100).toFixed(3)}%`, width: `${((to - x) * 100).toFixed(3)}%` }) satisfies CSSProperties

const tickWidth = 64

/** Heads of the columns, and the times above the bars. */
export function TimeAxis({ scale, begin }: { scale: TimeScale; begin: number }) {
  const bars = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(600)
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => setWidth(bars.current?.clientWidth ?? 0))
    observer.observe(bars.current!)
    return () => observer.disconnect()
  }, [])
  return (
    <div className={styles.axis} aria-hidden="true">
      <span className={styles.headName}>What happened</span>
      <span className={styles.headNumber}>Time</span>
      <span className={styles.headTokens}>Tokens</span>
      <span className={styles.headCost}>Cost</span>
      <div ref={bars} className={styles.bars}>
        {scale.ticks(begin, width / tickWidth).map(({ x, text }) => (
          <span key={x} className={styles.tick} style={at(x)}>
            {text}
          </span>
        ))}
        {scale.idles.map(({ from, to }) => (
          <span
            key={from}
            className={styles.idleHead}
            style={between(scale.x(from), scale.x(to))}
            title={`nothing happened for ${durationText(to - from)}`}
          />
        ))}
      </div>
    </div>
  )
}
