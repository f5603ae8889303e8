import { Link } from '@tanstack/react-router'
import type { UnavailableModel } from '../../../../src/models/unavailable.ts'
import type { Activity } from '../../../../src/trace/rates.ts'
import type { Declared } from '../../api/shapes.ts'
import { Badge, type Tone } from '../../ui/badge.tsx'
import { ageText, countFull, durationText } from '../../ui/format.ts'
import { PauseButton } from '../operations/pause-button.tsx'
import { type Figures, figuresOf } from './figures.ts'
import type { Group, Series } from './health-feed.ts'
import { Spark } from './spark.tsx'
import styles from './table.module.css'

const tones: Readonly<Record<Group['kind'], Tone>> = { app: 'agent', tool: 'tool', model: 'model', other: 'other' }
const order: readonly Group['kind'][] = ['app', 'tool', 'model', 'other']
const titles = { app: 'app', tool: 'tool', model: 'model', other: 'runtime' } as const

interface GroupsTableProps {
  readonly groups: readonly Group[]
  readonly series: Series
  readonly activity: Activity
  readonly unavailable: readonly UnavailableModel[]
  /** When the numbers were read. */
  readonly at: string
  /** Agents and workflows, with the app that hosts each. */
  readonly apps: readonly Declared[]
}

/** What waits for whom, and how it goes, for each consumer group. Every number links to its rows. */
export function GroupsTable({ groups, series, activity, unavailable, at, apps }: GroupsTableProps) {
  const sorted = groups.toSorted(
    (a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || (a.group < b.group ? -1 : 1),
  )
  return (
    <div className={styles.scroller} tabIndex={0}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th>Group</th>
            <th className={styles.number} title="Events that wait or are worked on">Waiting</th>
            <th className={styles.wide}>15 minutes</th>
            <th className={`${styles.number} ${styles.rare}`}>In flight</th>
            <th className={styles.wide}>15 minutes</th>
            <th className={`${styles.number} ${styles.rare}`} title="Age of the oldest call without an answer">Oldest</th>
            <th className={styles.number} title="Answers, or turns of tasks, in the last minute">Rate</th>
            <th className={`${styles.number} ${styles.rare}`} title="95 of 100 answers are faster">p95</th>
            <th className={`${styles.number} ${styles.rare}`} title="In the last minute">Retries</th>
            <th className={styles.number} title="In the last minute">Failed</th>
            <th aria-label="Actions" />
          </tr>
        </thead>
        <tbody>
          {sorted.map(group => (
            <GroupRow
              key={group.group}
              group={group}
              series={series}
              figures={figuresOf(group, activity, apps, at)}
              unavailable={unavailable.find(({ model }) => group.kind === 'model' && model === group.name)}
            />
          ))}
        </tbody>
      </table>
    </div>
  ) // biome-ignore format: one column a line
}

interface GroupRowProps {
  readonly group: Group
  readonly series: Series
  readonly figures: Figures | undefined
  readonly unavailable: UnavailableModel | undefined
}

function GroupRow({ group, series, figures, unavailable }: GroupRowProps) {
  const { kind, name, lag, inFlight, oldestMs, paused } = group
  const isService = kind === 'tool' || kind === 'model'
  // A tool or model works on calls; an app on the tasks that have something to decide.
  const open = isService ? { to: '/live', search: { unanswered: name, type: `${kind}.invoke` } } : { to: '/tasks', search: { state: 'running' } } // biome-ignore format: one line
  return (
    <tr>
      <td className={styles.name}>
        <Badge tone={tones[kind]}>{titles[kind]}</Badge>
        <span title={name}>{name}</span>
        {paused && <Badge tone="waiting">paused</Badge>}
        {unavailable && (
          <span title={`since ${unavailable.since}: ${unavailable.reason}`}>
            <Badge tone="failed">away</Badge>
          </span>
        )}
      </td>
      <td className={styles.number}>
        <Count value={lag} {...open} tone={lag > inFlight ? 'waiting' : undefined} />
      </td>
      <td className={styles.wide}>
        <Spark values={series.of(group.group, 'lag')} tone="waiting" label={`waiting for ${name}, last 15 minutes`} />
      </td>
      <td className={`${styles.number} ${styles.rare}`}>
        <Count value={inFlight} {...open} />
      </td>
      <td className={styles.wide}>
        <Spark values={series.of(group.group, 'inFlight')} tone="running" label={`in flight at ${name}, last 15 minutes`} />
      </td>
      <td className={`${styles.number} ${styles.rare}`}>
        {oldestMs === undefined ? <span className={styles.none}>–</span> : <Link {...open}>{ageText(oldestMs)}</Link>}
      </td>
      <td className={styles.number}>{figures ? <Link to="/live" search={figures.rows('rate')}>{countFull(figures.perMinute)}/min</Link> : <span className={styles.none}>–</span>}</td>
      <td className={`${styles.number} ${styles.rare}`}>{figures?.p95 === undefined ? <span className={styles.none}>–</span> : durationText(Math.round(figures.p95))}</td>
      <td className={`${styles.number} ${styles.rare}`}>
        <Count value={figures?.retries} to="/live" search={figures?.rows('retries') ?? {}} tone="waiting" />
      </td>
      <td className={styles.number}>
        <Count value={figures?.failed} to="/live" search={figures?.rows('failed') ?? {}} tone="failed" />
      </td>
      <td className={styles.number}>
        {isService && <PauseButton kind={kind} name={name} paused={paused} small />}
      </td>
    </tr>
  ) // biome-ignore format: one column a line
}

interface CountProps {
  readonly value: number | undefined
  readonly to: string
  readonly search: Readonly<Record<string, string>>
  /** Of a number above zero. */
  readonly tone?: 'waiting' | 'failed' | undefined
}

function Count({ value, to, search, tone }: CountProps) {
  if (value === undefined) return <span className={styles.none}>–</span>
  return (
    <Link to={to} search={search} data-tone={value > 0 ? tone : undefined} className={value === 0 ? styles.none : undefined}>
      {countFull(value)}
    </Link>
  ) // biome-ignore format: one link
}
