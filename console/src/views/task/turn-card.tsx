import type { CloudEvent } from '../../../../src/event.ts'
import type { TurnDetails } from '../../../../src/trace/details.ts'
import type { TaskTurns } from '../../api/task-shapes.ts'
import { preview } from '../../../../src/trace/text.ts'
import { summarizeEvent } from '../../../../src/trace/summarize.ts'
import { Dot, StateBadge } from '../../ui/badge.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Time } from '../../ui/time.tsx'
import { publisherName, toneOfType } from '../event/family.ts'
import { DataView } from './data-view.tsx'
import { Disclosure } from './disclosure.tsx'
import { changesBetween, type Change } from './state-changes.ts'
import { TurnActions } from './turn-actions.tsx'
import styles from './turns.module.css'

interface TurnCardProps {
  readonly about: TaskTurns
  readonly turn: TurnDetails
  /** The turn before, if it is loaded. */
  readonly before: TurnDetails | undefined
  readonly open: boolean
  readonly onOpen: (open: boolean) => void
}

/** One turn on a line; in full when it is opened. */
export function TurnCard({ about, turn, before, open, onOpen }: TurnCardProps) {
  const { version, at, inputs, emitted, end, programVersion, programHash } = turn
  const isNewCode = before !== undefined && before.programHash !== programHash
  return (
    <section className={styles.card} data-open={open || undefined} aria-label={`Turn ${version}`}>
      <button type="button" className={styles.line} aria-expanded={open} onClick={() => onOpen(!open)}>
        <Icon name={open ? 'down' : 'right'} size={12} />
        <span className={styles.version}>{version}</span>
        <Types label="got" events={inputs} />
        <Icon name="right" size={12} />
        <Types label="emitted" events={emitted} />
        <span>{end && <StateBadge state={end} />}</span>
        <span className={styles.at}>
          <Time at={at} />
        </span>
      </button>
      {isNewCode && (
        <p className={styles.newCode}>
          New code: v{before.programVersion} {before.programHash.slice(0, 8)} → v{programVersion}{' '}
          {programHash.slice(0, 8)}
        </p>
      )}
      {open && (
        <div className={styles.content}>
          <div className={styles.meta}>
            <span>
              {about.program} v{programVersion} <code>{programHash.slice(0, 12)}</code>
            </span>
            <span className={styles.actions}>
              <TurnActions about={about} turn={turn} />
            </span>
          </div>
          <Events title="Inputs" events={inputs} nothing="No input: it repeats calls." />
          <Events title="Emitted" events={emitted} nothing="Nothing was emitted." />
          <StateChanges turn={turn} before={before} />
        </div>
      )}
    </section>
  )
}

const maxTypes = 3

/** Whom it is for, or what. */
function detailOf({ type, target, data, source, call }: CloudEvent): string {
  const { step } = (data ?? {}) as { step?: unknown }
  if (typeof step === 'string') return step
  return call === undefined && target !== undefined
    ? `→ ${target}`
    : type.startsWith('agent.task.')
      ? ''
      : publisherName(source).replace(/^\//, '')
}

/** The types of events, most of which are cut on a small screen. */
function Types({ label, events }: { label: string; events: readonly CloudEvent[] }) {
  const all = events.map(({ type }) => type)
  return (
    <span className={styles.types} title={`${label}: ${all.join(', ') || 'nothing'}`}>
      {events.length === 0 && <span className={styles.none}>nothing</span>}
      {events.slice(0, maxTypes).map(event => (
        <span key={event.id} className={styles.type}>
          <Dot tone={toneOfType(event.type)} />
          {event.type}
          <span className={styles.detail}>{detailOf(event)}</span>
        </span>
      ))}
      {events.length > maxTypes && <span className={styles.none}>+{events.length - maxTypes}</span>}
    </span>
  )
}

function Events({ title, events, nothing }: { title: string; events: readonly CloudEvent[]; nothing: string }) {
  return (
    <section className={styles.part}>
      <h2>{title}</h2>
      {events.length === 0 && <p className={styles.none}>{nothing}</p>}
      {events.map(event => (
        <Disclosure
          key={event.id}
          line={
            <>
              <Dot tone={toneOfType(event.type)} />
              <span className={styles.eventType}>{event.type}</span>
              <span className={styles.who}>
                {event.target === undefined ? publisherName(event.source) : `→ ${event.target}`}
              </span>
              <span className={styles.summary}>{summarizeEvent(event)}</span>
            </>
          }
        >
          {() => <DataView value={event.data} label={event.type} />}
        </Disclosure>
      ))}
    </section>
  )
}

const maxChanges = 60

function StateChanges({ turn, before }: { turn: TurnDetails; before: TurnDetails | undefined }) {
  if (turn.state === undefined)
    return turn.stateHash === undefined ? null : (
      <section className={styles.part}>
        <h2>State</h2>
        <p className={styles.none}>
          Too large to be recorded; its digest is <code>{turn.stateHash.slice(0, 12)}</code>
        </p>
      </section>
    )
  const isComparable = turn.version === 1 || before?.state !== undefined
  const changes = isComparable ? changesBetween(before?.state ?? {}, turn.state) : []
  return (
    <section className={styles.part}>
      <h2>State</h2>
      {isComparable && changes.length === 0 && <p className={styles.none}>No change.</p>}
      {changes.length > 0 && (
        <ul className={styles.changes}>
          {changes.slice(0, maxChanges).map(change => (
            <ChangeLine key={change.path} change={change} />
          ))}
          {changes.length > maxChanges && <li className={styles.none}>and {changes.length - maxChanges} more</li>}
        </ul>
      )}
      <Disclosure line={<span className={styles.none}>The whole state after this turn</span>}>
        {() => <DataView value={turn.state} label="State" />}
      </Disclosure>
    </section>
  )
}

function ChangeLine({ change: { path, before, after } }: { change: Change }) {
  return (
    <li>
      <span className={styles.path}>{path === '' ? 'state' : path}</span>
      {before !== undefined && <del title={preview(before)}>{preview(before).slice(0, 160)}</del>}
      {after !== undefined && <ins title={preview(after)}>{preview(after).slice(0, 160)}</ins>}
    </li>
  )
}
