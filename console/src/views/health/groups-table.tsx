import { Link } from '@tanstack/react-router'
import type { UnavailableModel } from '../../../../src/models/unavailable.ts'
import type { Activity, ServiceActivity } from '../../../../src/trace/rates.ts'
import { Badge, type Tone } from '../../ui/badge.tsx'
import { ageText, countFull, durationText } from '../../ui/format.ts'
import { PauseButton } from '../operations/pause-button.tsx'
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
}

/** What waits for whom, and how it goes, for each consumer group. Every number links to its rows. */
export function GroupsTable({ groups, series, activity, unavailable }: GroupsTableProps) {
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
            <th className={styles.number} title="Answers in the last minute">Rate</th>
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
              service={serviceOf(group, activity)}
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
  readonly service: ServiceActivity | undefined
  readonly unavailable: UnavailableModel | undefined
}

function GroupRow({ group, series, service, unavailable }: GroupRowProps) {
  const { kind, name, lag, inFlight, oldestMs, paused } = group
  const source = kind === 'tool' || kind === 'model' ? { source: `/${kind}s/${name}` } : {}
  const waiting = kind === 'tool' || kind === 'model' ? { type: `${kind}.invoke` } : {}
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
        <Count value={lag} to="/live" search={waiting} tone={lag > inFlight ? 'waiting' : undefined} />
      </td>
      <td className={styles.wide}>
        <Spark values={series.of(group.group, 'lag')} tone="waiting" label={`waiting for ${name}, last 15 minutes`} />
      </td>
      <td className={`${styles.number} ${styles.rare}`}>
        <Count value={inFlight} to="/tasks" search={{ state: 'running' }} />
      </td>
      <td className={styles.wide}>
        <Spark values={series.of(group.group, 'inFlight')} tone="running" label={`in flight at ${name}, last 15 minutes`} />
      </td>
      <td className={`${styles.number} ${styles.rare}`}>
        {oldestMs === undefined ? <span className={styles.none}>–</span> : <Link to="/tasks" search={{ state: 'waiting' }}>{ageText(oldestMs)}</Link>}
      </td>
      <td className={styles.number}>{service ? <Link to="/live" search={source}>{countFull(service.calls)}/min</Link> : <span className={styles.none}>–</span>}</td>
      <td className={`${styles.number} ${styles.rare}`}>{service && service.calls > 0 ? durationText(Math.round(service.p95)) : <span className={styles.none}>–</span>}</td>
      <td className={`${styles.number} ${styles.rare}`}>
        <Count value={service?.retries} to="/live" search={{ ...source, type: `${kind}.delayed` }} tone="waiting" />
      </td>
      <td className={styles.number}>
        <Count value={service?.failed} to="/live" search={{ ...source, failed: '1' }} tone="failed" />
      </td>
      <td className={styles.number}>
        {(kind === 'tool' || kind === 'model') && <PauseButton kind={kind} name={name} paused={paused} small />}
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

const serviceOf = ({ kind, name }: Group, { tools, models }: Activity): ServiceActivity | undefined =>
  (kind === 'tool' ? tools : kind === 'model' ? models : []).find(each => each.name === name)
