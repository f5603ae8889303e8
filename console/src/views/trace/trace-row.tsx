import { Link } from '@tanstack/react-router'
import { type CSSProperties, memo, useSyncExternalStore } from 'react'
import { printable } from '../../../../src/trace/text.ts'
import type { TimeScale } from '../../trace/time-scale.ts'
import type { TraceLine } from '../../trace/trace-lines.ts'
import { useSource } from '../../api/source.tsx'
import { toneOfState, toneStyle, type Tone } from '../../ui/badge.tsx'
import { classes } from '../../ui/classes.ts'
import { costText, countFull, countShort, durationText } from '../../ui/format.ts'
import { Icon, type IconName } from '../../ui/icon.tsx'
import { toneOfType } from '../event/family.ts'
import { Bar } from './bar.tsx'
import { isFailed } from './shown-lines.ts'
import type { TraceStore } from './trace-store.ts'
import styles from './trace.module.css'

interface TraceRowProps {
  readonly line: TraceLine
  readonly store: TraceStore
  readonly scale: TimeScale
  /** The end of what is open. */
  readonly now: number
  readonly isContext: boolean
  readonly isCollapsed: boolean
  readonly onCollapse: (isCollapsed: boolean) => void
}

const maxIndent = 16
const icons: Readonly<Record<string, IconName>> = {
  agent: 'user',
  workflow: 'workflow',
  tool: 'operations',
  model: 'ask',
  timer: 'clock',
  approval: 'inbox',
  step: 'play',
}

/** One line of a trace: what it is, what came of it, and its times. */
export const TraceRow = memo(function TraceRow(props: TraceRowProps) {
  const { line, scale, now, isContext, isCollapsed, onCollapse } = props
  const { depth, task, label, name, version, status, tags, tokens, cost, below, from, to, spans } = line
  const isOffline = useSource().origin === 'slice'
  const tone = toneOf(line)
  const isOpen = to === Infinity
  return (
    <div className={classes(styles.row, isContext && styles.context)}>
      <div className={styles.name} style={{ '--depth': Math.min(depth, maxIndent) } as CSSProperties}>
        {/* The keys ← and → do the same; the row itself says whether it is expanded. */}
        <span
          className={styles.fold}
          aria-hidden="true"
          title={isCollapsed ? `Expand: ${countFull(below)} below` : `Collapse: ${countFull(below)} below`}
          style={{ visibility: below > 0 ? 'visible' : 'hidden' }}
          onClick={event => {
            event.stopPropagation()
            onCollapse(!isCollapsed)
          }}
        >
          <Icon name={isCollapsed ? 'right' : 'down'} size={12} />
        </span>
        <span className={styles.icon} style={toneStyle(tone)}>
          {icons[label] ? <Icon name={icons[label]} size={13} /> : <span className={styles.point} />}
        </span>
        <span className={styles.title} title={titleOf(line)}>
          <span className={classes(name !== undefined && styles.kind)}>{label}</span>
          {name !== undefined && <b>{printable(name)}</b>}
          {version !== undefined && <span className={styles.version}>v{version}</span>}
          {isCollapsed && <span className={styles.hidden}>+{countShort(below)}</span>}
          {tags.map(tag => (
            <span key={tag} className={styles.tag}>
              {printable(tag)}
            </span>
          ))}
        </span>
        <Note {...props} />
        {task !== undefined && !isOffline && (
          <Link
            to={`/tasks/${task}`}
            className={styles.go}
            title="Open the task"
            tabIndex={-1}
            onClick={event => event.stopPropagation()}
          >
            <Icon name="external" size={12} />
          </Link>
        )}
      </div>
      <span className={styles.time} style={toneStyle(status === undefined ? 'other' : toneOfState(status))}>
        {status !== undefined && <Mark status={status} />}
        <span className={styles.number}>
          {spans.length > 0 && durationText(Math.max(0, (isOpen ? now : to) - from))}
        </span>
      </span>
      <span className={styles.tokens} title={tokens > 0 ? `${countFull(tokens)} tokens` : undefined}>
        {tokens > 0 && countShort(tokens)}
      </span>
      <span className={styles.cost}>{cost > 0 && costText(cost)}</span>
      <div className={styles.bars}>
        <Bar line={line} scale={scale} now={now} tone={tone} />
      </div>
    </div>
  )
})

function toneOf(line: TraceLine): Tone {
  if (isFailed(line)) return 'failed'
  if (line.status === 'late') return 'waiting'
  return toneOfType(line.type)
}

const titleOf = ({ label, name, tags, turn, event }: TraceLine) =>
  [label, name, turn === undefined ? '' : `· turn ${turn}`, ...tags.map(tag => `· ${tag}`), `\n${event}`]
    .filter(Boolean)
    .join(' ')

/** What it says; of a model that answers, what it has written. */
function Note({ line, store }: TraceRowProps) {
  const written = useSyncExternalStore(store.subscribeToTexts, () => store.textOf(line.event))
  if (written)
    return (
      <span className={styles.written} dir="auto">
        <bdi>{printable(written.text.slice(-300))}</bdi>
      </span>
    )
  const text = line.problem ?? line.note
  return (
    <span className={classes(styles.note, line.problem !== undefined && styles.problem)} title={text} dir="auto">
      {printable(text)}
    </span>
  )
}

const marks: Readonly<Record<NonNullable<TraceLine['status']>, IconName>> = {
  answered: 'check',
  completed: 'check',
  continued: 'retry',
  failed: 'close',
  expired: 'clock',
  cancelled: 'cancel',
  abandoned: 'cancel',
  late: 'clock',
  waiting: 'more',
  running: 'play',
}

const Mark = ({ status }: { status: NonNullable<TraceLine['status']> }) => (
  <span className={styles.mark} title={status} data-status={status}>
    <Icon name={marks[status]} size={12} />
    <span className="visually-hidden">{status}</span>
  </span>
)
