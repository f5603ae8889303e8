import { Dot, type Tone } from '../../ui/badge.tsx'
import styles from './graph.module.css'

const kinds: readonly (readonly [Tone, string])[] = [
  ['agent', 'calls'],
  ['approval', 'approval'],
  ['workflow', 'decides'],
  ['other', 'events, time, ends'],
]
const states: readonly (readonly [Tone, string])[] = [
  ['ok', 'done'],
  ['running', 'active'],
  ['failed', 'failed'],
  ['other', 'not reached'],
]

/** What the colours of a graph mean. */
export function Legend({ isInstance = false }: { isInstance?: boolean }) {
  return (
    <span className={styles.legend}>
      {(isInstance ? states : kinds).map(([tone, text]) => (
        <span key={text}>
          <Dot tone={tone} />
          {text}
        </span>
      ))}
    </span>
  )
}
