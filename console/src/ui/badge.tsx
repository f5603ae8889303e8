import type { CSSProperties, ReactNode } from 'react'
import { classes } from './classes.ts'
import styles from './badge.module.css'

export type Tone =
  | 'accent' | 'agent' | 'tool' | 'model' | 'workflow' | 'approval' | 'operator' | 'trigger' | 'other'
  | 'running' | 'waiting' | 'ok' | 'failed' // biome-ignore format: two rows

export const toneStyle = (tone: Tone) => ({ '--tone': `var(--${tone})` }) as CSSProperties

export function Badge({ tone, dot = false, children }: { tone: Tone; dot?: boolean; children: ReactNode }) {
  return (
    <span className={styles.badge} style={toneStyle(tone)}>
      {dot && <Dot tone={tone} />}
      {children}
    </span>
  )
}

export function Dot({ tone, pulsing = false }: { tone: Tone; pulsing?: boolean }) {
  return <span className={classes(styles.dot, pulsing && styles.pulsing)} style={toneStyle(tone)} aria-hidden="true" />
}

const states: Readonly<Record<string, Tone>> = {
  running: 'running',
  requested: 'running',
  waiting: 'waiting',
  delayed: 'waiting',
  parked: 'waiting',
  abandoned: 'other',
  expired: 'failed',
  failed: 'failed',
  dead: 'failed',
  cancelled: 'other',
  completed: 'ok',
  continued: 'ok',
  answered: 'ok',
}

export const toneOfState = (state: string): Tone => states[state] ?? 'other'

/** State of a task, a call or an operation. */
export function StateBadge({ state }: { state: string }) {
  return (
    <Badge tone={toneOfState(state)} dot>
      {state}
    </Badge>
  )
}
