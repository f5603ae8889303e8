import { serverNow } from '../../api/server-clock.ts'
import type { UsageRow } from '../../../../src/trace/index/rows.ts'
import { useSettings } from '../../shell/settings.ts'
import { type Tone, toneStyle } from '../../ui/badge.tsx'
import { timeText } from '../../ui/format.ts'
import styles from './hours.module.css'

const tones: readonly Tone[] = ['agent', 'model', 'tool', 'ok', 'approval', 'running', 'other']
const hourMs = 3_600_000
const maxBars = 84

interface HoursProps {
  readonly rows: readonly UsageRow[]
  readonly column: 'program' | 'model' | 'tenant'
  /** Such as `24h` or `7d`. */
  readonly since: string
  readonly amountOf: (row: UsageRow) => number
  readonly text: (amount: number) => string
}

/** A bar for each hour, or for several where there are many, divided by who spent it. */
export function Hours({ rows, column, since, amountOf, text }: HoursProps) {
  const { zone } = useSettings()
  const hours = Number.parseInt(since, 10) * (since.endsWith('d') ? 24 : 1)
  const hoursPerBar = Math.ceil(hours / maxBars)
  const barMs = hoursPerBar * hourMs
  const last = Math.floor(serverNow() / hourMs) * hourMs
  const count = Math.ceil(hours / hoursPerBar)
  const bars = Array.from({ length: count }, (_, i) => {
    const from = last + hourMs - (count - i) * barMs
    const spent = rows.filter(({ hour = 0 }) => hour >= from && hour < from + barMs)
    return { from, spent, sum: spent.reduce((sum, row) => sum + amountOf(row), 0) }
  })
  const most = Math.max(...bars.map(({ sum }) => sum), 1e-9)
  const names = [...new Set(rows.map(row => row[column] ?? ''))].toSorted()
  const toneOf = (name: string) => tones[Math.min(names.indexOf(name), tones.length - 1)]!
  return (
    <figure className={styles.hours}>
      <div className={styles.bars} role="img" aria-label={`Spend in the last ${since}, most in a bar: ${text(most)}`}>
        <span className={styles.most}>{text(most)}</span>
        {bars.map(({ from, spent, sum }) => (
          <div key={from} className={styles.bar} title={`${timeText(from, zone).slice(0, -4)}: ${text(sum)}`}>
            {names.map(name => {
              const amount = spent.filter(row => (row[column] ?? '') === name).reduce((all, row) => all + amountOf(row), 0)
              return amount > 0 && <span key={name} style={{ ...toneStyle(toneOf(name)), height: `${(amount / most) * 100}%` }} />
            })}
          </div>
        ))}
      </div>
      <figcaption>
        {names.map(name => (
          <span key={name} style={toneStyle(toneOf(name))}>{name}</span>
        ))}
      </figcaption>
    </figure>
  ) // biome-ignore format: one part of a bar a line
}
