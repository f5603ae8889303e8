import type { Tone } from '../../ui/badge.tsx'
import { toneStyle } from '../../ui/badge.tsx'
import styles from './spark.module.css'

interface SparkProps {
  readonly values: readonly (number | null)[]
  readonly tone: Tone
  readonly label: string
}

const [width, height] = [96, 22]

/** A number over time as one line, from 0 to its maximum. Gaps stay gaps. */
export function Spark({ values, tone, label }: SparkProps) {
  const max = Math.max(1, ...values.map(value => value ?? 0))
  const step = width / Math.max(1, values.length - 1)
  let isDrawing = false
  const path = values
    .map((value, i) => {
      if (value === null) {
        isDrawing = false
        return ''
      }
      const command = isDrawing ? 'L' : 'M'
      isDrawing = true
      return `${command}${(i * step).toFixed(1)} ${(height - 2 - (value / max) * (height - 4)).toFixed(1)}`
    })
    .join('')
  return (
    <svg
      className={styles.spark}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
      style={toneStyle(tone)}
    >
      <path className={styles.base} d={`M0 ${height - 2}H${width}`} />
      <path d={path} />
    </svg>
  )
}
