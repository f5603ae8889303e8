import type { Info } from '../../api/shapes.ts'
import { bytesText, countFull, durationText } from '../../ui/format.ts'
import styles from './health.module.css'

const promises = {
  power: 'What the log has acknowledged survives a crash of the process and a power failure.',
  process: 'What the log has acknowledged survives a crash of the process, and not a power failure.',
  nothing: 'The log is in memory: nothing survives the end of the process.',
} as const

/** What the log promises, how long it keeps events, and what one correlation may spend. */
export function LogCard({ info: { log, apps, version } }: { info: Info }) {
  const { durability, retention, partitions, horizon = '~' } = log
  return (
    <dl className={styles.log}>
      <div>
        <dt>Promise</dt>
        <dd>
          {promises[durability.survives]} <code>{durability.detail}</code>
        </dd>
      </div>
      <div>
        <dt>Log</dt>
        <dd>
          {log.bus}, {partitions} {partitions === 1 ? 'partition' : 'partitions'}, Tidings {version}
        </dd>
      </div>
      <div>
        <dt>Retention</dt>
        <dd>
          {retention === undefined ? 'No app has declared how long events stay.' : `Events stay for ${durationText(retention)}, and longer while a task or a group needs them.`}
          {horizon === '~' ? ' Nothing was removed so far.' : ' Older ones were removed.'}
        </dd>
      </div>
      <div>
        <dt>Index</dt>
        <dd>{log.index.behind === 0 ? 'It has read the whole log.' : `${countFull(log.index.behind)} events are not read yet.`} The request that reads a list brings it up to date.</dd>
      </div>
      {apps.map(({ app, budget }) => budget && (
        <div key={app}>
          <dt title="The most that one correlation may spend">Budget of {app}</dt>
          <dd>{budgetText(budget)} for each correlation</dd>
        </div>
      ))}
    </dl>
  ) // biome-ignore format: one sentence a line
}

type Limits = NonNullable<Info['apps'][number]['budget']>

function budgetText({ calls, events, bytes, tokens, cost }: Limits): string {
  return [
    calls !== undefined && `${countFull(calls)} calls`,
    events !== undefined && `${countFull(events)} events`,
    bytes !== undefined && bytesText(bytes),
    tokens === undefined ? 'any number of tokens' : `${countFull(tokens)} tokens`,
    cost !== undefined && `a cost of ${cost}`,
  ]
    .filter(Boolean)
    .join(', ')
}
