import { Link } from '@tanstack/react-router'
import { useQuery } from '@tanstack/react-query'
import { get } from '../../api/connection.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import { infoQuery } from '../../api/queries.ts'
import { Page } from '../../shell/page.tsx'
import { Dot } from '../../ui/badge.tsx'
import { countFull, countShort } from '../../ui/format.ts'
import { Failure, Loading } from '../../ui/states.tsx'
import { Budgets } from './budgets.tsx'
import { Chart } from './chart.tsx'
import { GroupsTable } from './groups-table.tsx'
import { type Health as Shown, useHealth } from './health-feed.ts'
import { LogCard } from './log-card.tsx'
import { Pauses } from './pauses.tsx'
import { Spend } from './spend.tsx'
import { Workers } from './workers.tsx'
import styles from './health.module.css'

const attentionKey = ['attention', 'count']

/** Whether the log keeps up: what waits, who works, what fails, what it costs. */
export function Health() {
  const { health, error } = useHealth()
  const { data: info } = useQuery(infoQuery)
  return (
    <Page title="Health" about={health && <Verdict health={health} />}>
      <div className={styles.health}>
        {error !== undefined && <Failure error={error} retry={() => location.reload()} />}
        {error === undefined && !health && <Loading what="health" />}
        {health && <Charts health={health} />}
        {health && (
          <section className={styles.section} aria-label="Groups">
            <header>
              <h2>Groups</h2>
              <Pauses paused={health.paused} agents={info?.agents ?? []} />
            </header>
            <GroupsTable {...health} apps={[...(info?.agents ?? []), ...(info?.workflows ?? [])]} />
          </section>
        )}
        {health && (
          <section className={styles.section} aria-label="Workers">
            <header>
              <h2>Workers</h2>
            </header>
            <Workers workers={health.workers} />
          </section>
        )}
        {info && (
          <section className={styles.section} aria-label="Log">
            <header>
              <h2>Log</h2>
            </header>
            <LogCard info={info} />
          </section>
        )}
        {health && <Budgets />}
        {health && <Spend />}
      </div>
    </Page>
  )
}

/** One line that says how it is. */
function Verdict({ health: { groups, workers } }: { health: Shown }) {
  const { data } = useQuery({
    queryKey: attentionKey,
    queryFn: ({ signal }) => get<{ count: number }>('attention', { limit: 1 }, signal),
  })
  useRefetchOn(attentionKey, ['agent.task.*', 'operation.*', 'tool.delayed', 'model.delayed'])
  const behind = groups.filter(({ lag, inFlight }) => lag > inFlight)
  const count = data?.count ?? 0
  return (
    <span className={styles.verdict} role="status">
      <Dot tone={behind.length === 0 ? 'ok' : 'waiting'} />
      {behind.length === 0
        ? 'every group keeps up'
        : `${behind.length} of ${groups.length} groups ${behind.length === 1 ? 'has' : 'have'} a queue`}
      {', '}
      {workers.length} {workers.length === 1 ? 'worker' : 'workers'}
      {count > 0 && (
        <Link to="/attention" className={styles.attention}>
          <Dot tone="failed" />
          {countFull(count)} {count === 1 ? 'needs' : 'need'} attention
        </Link>
      )}
    </span>
  )
}

function Charts({ health: { series, groups, activity, at } }: { health: Shown }) {
  const sum = (number: 'lag' | 'inFlight') => {
    const all = groups.map(({ group }) => series.of(group, number))
    return series.times.map((_, i) =>
      all.reduce<number | null>((total, values) => plus(total, values[i] ?? null), null),
    )
  }
  const { times } = series
  return (
    <div className={styles.charts}>
      <Chart label="Events per second" times={times} text={perSecond} lines={[{ name: '', tone: 'accent', values: series.of('total', 'perSecond') }]} />
      <Chart label="Waiting and in flight" times={times} text={countShort} lines={[{ name: 'waiting', tone: 'waiting', values: sum('lag') }, { name: 'in flight', tone: 'running', values: sum('inFlight') }]} />
      <Chart label="Failures in the minute before" times={times} text={countShort} lines={[{ name: 'failed', tone: 'failed', values: series.of('total', 'failed') }, { name: 'retries', tone: 'waiting', values: series.of('total', 'retries') }]} />
      <ul className={styles.tiles}>
        <Tile name="tasks begun per second" value={perSecond(activity.started)} to="/tasks" search={{ since: before(at, rateMs) }} />
        <Tile name="tasks ended per second" value={perSecond(activity.ended)} to="/live" search={{ type: 'agent.task.*', since: before(at, rateMs) }} />
        <Tile name="tokens in the last minute" value={countShort(activity.tokens)} to="/live" search={{ type: 'model.result', since: before(at, 6 * rateMs) }} />
        <Tile name="cost in the last minute" value={activity.cost === 0 ? '–' : activity.cost.toPrecision(2)} to="/live" search={{ type: 'model.result', since: before(at, 6 * rateMs) }} />
      </ul>
    </div>
  ) // biome-ignore format: one chart a line
}

function Tile({
  name,
  value,
  to,
  search = {},
}: {
  name: string
  value: string
  to: string
  search?: Record<string, string>
}) {
  return (
    <li>
      <Link to={to} search={search}>
        <b>{value}</b>
        <span>{name}</span>
      </Link>
    </li>
  ) // biome-ignore format: short
}

/** Rates are averages over this time. */
const rateMs = 10_000
const before = (at: string, ms: number) => new Date(Date.parse(at) - ms).toISOString()
const perSecond = (rate: number) => (rate === 0 ? '0' : rate < 10 ? rate.toFixed(1) : countShort(rate))
const plus = (a: number | null, b: number | null) => (b === null ? a : (a ?? 0) + b)
