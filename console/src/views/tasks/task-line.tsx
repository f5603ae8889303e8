import { shortId } from '../../../../src/trace/short-id.ts'
import { preview } from '../../../../src/trace/text.ts'
import type { ListedTask } from '../../api/task-shapes.ts'
import { StateBadge } from '../../ui/badge.tsx'
import { costText, countFull, countShort, durationText } from '../../ui/format.ts'
import { Check, CheckAll } from '../../ui/check.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Age } from '../../ui/time.tsx'
import { useNow } from '../../ui/use-now.ts'
import styles from './task-line.module.css'

interface TaskLineProps {
  readonly row: ListedTask
  readonly selected?: boolean
  /** Absent where rows cannot be selected. */
  readonly onSelect?: (range: boolean) => void
}

/** One task on one line. */
export function TaskLine({ row, selected = false, onSelect }: TaskLineProps) {
  const { task, program, kind, version, hash, state, turns, tokens, cost, since } = row
  const what = waitsText(row)
  const shown = row.ended === undefined ? preview(row.shows) : ''
  return (
    <div className={styles.line}>
      {onSelect ? <Check checked={selected} onChange={onSelect} /> : <span />}
      <span>
        <StateBadge state={state} />
      </span>
      <span
        className={styles.program}
        title={`${kind} ${program} v${version}, ${hash}`}
        style={{ color: `var(--${kind})` }}
      >
        <Icon name={kind === 'workflow' ? 'workflow' : 'user'} size={14} />
        <b>{program}</b>
      </span>
      <span className={styles.id} title={task}>
        {shortId(task, program)}
      </span>
      <span
        className={styles.waits}
        title={[what, shown].filter(Boolean).join('\n')}
        data-failed={row.failedWith !== undefined || undefined}
      >
        {what}
        {shown !== '' && <span className={styles.shows}>{shown}</span>}
      </span>
      <span className={styles.number} title={`${countFull(turns)} turns`}>
        {countShort(turns)}
      </span>
      <span className={styles.number} title={`${countFull(tokens)} tokens`}>
        {tokens === 0 ? '' : countShort(tokens)}
      </span>
      <span className={styles.number} title={`Cost ${cost}`}>
        {cost === 0 ? '' : costText(cost)}
      </span>
      <span className={styles.duration}>
        <Duration row={row} />
      </span>
      <span className={styles.age}>
        <Age since={since} />
      </span>
    </div>
  )
}

/** The names of the columns, above the list. */
export function TaskLineHead({ onSelectLoaded }: { onSelectLoaded: () => void }) {
  return (
    <div className={`${styles.line} ${styles.names}`}>
      <CheckAll label="Select all tasks that are loaded" onClick={onSelectLoaded} />
      <span>State</span>
      <span>Program</span>
      <span className={styles.id}>Task</span>
      <span className={styles.waits}>Waits for, shows, or failed with</span>
      <span className={styles.number}>Turns</span>
      <span className={styles.number}>Tokens</span>
      <span className={styles.number}>Cost</span>
      <span className={styles.duration}>Duration</span>
      <span className={styles.age}>Last turn</span>
    </div>
  )
}

function Duration({ row: { started, ended } }: { row: ListedTask }) {
  const now = useNow()
  // Of a running task in whole seconds, so that its digits do not flicker.
  const ms = ended === undefined ? Math.max(0, Math.floor((now - started) / 1_000) * 1_000) : ended - started
  return <>{durationText(ms).replace(/\.0 s$/, ' s')}</>
}

/** What it waits for, or why it failed. The timer of an instance that waits for events only bounds the wait. */
function waitsText({ waitsFor, awaits = [], failedWith, ended }: ListedTask): string {
  if (failedWith !== undefined) return failedWith
  if (ended !== undefined) return ''
  const waits = [
    ...awaits,
    ...waitsFor.filter((target, _, all) => target !== 'timer' || all.length + awaits.length === 1),
  ]
  return [...new Set(waits)].join(', ')
}
