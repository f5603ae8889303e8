import type { SeenWorker } from '../../../../src/tasks/presence.ts'
import { Badge, Dot } from '../../ui/badge.tsx'
import { Age } from '../../ui/time.tsx'
import { useNow } from '../../ui/use-now.ts'
import table from './table.module.css'
import styles from './health.module.css'

const tones = { agent: 'agent', tool: 'tool', model: 'model', trigger: 'trigger', gateway: 'operator' } as const
/** Workers answer every two seconds; one that has not for longer may be gone. */
const silentMs = 10_000

/** The processes that work on the log, with what they host. */
export function Workers({ workers }: { workers: readonly SeenWorker[] }) {
  const now = useNow()
  return (
    <div className={table.scroller} tabIndex={0}>
      <table className={table.table}>
        <thead>
          <tr>
            <th>Worker</th>
            <th>App</th>
            <th>Hosts</th>
            <th>Version</th>
            <th>Started</th>
            <th>Seen</th>
          </tr>
        </thead>
        <tbody>
          {workers.map(({ id, app, host, pid, version, hosts, since, seen }) => {
            const isSilent = now - Date.parse(seen) > silentMs
            return (
              <tr key={id}>
                <td title={id}>
                  <span className={styles.worker}>
                    <Dot tone={isSilent ? 'failed' : 'ok'} />
                    {host} <span className={table.none}>{pid}</span>
                  </span>
                </td>
                <td>{app}</td>
                <td>
                  <span className={styles.hosts}>
                    {[...Map.groupBy(hosts, ({ kind }) => kind)].map(([kind, hosted]) => (
                      <span key={kind} title={hosted.map(({ name }) => name).join('\n')}>
                        <Badge tone={tones[kind]}>{`${hosted.length} ${kind}${hosted.length === 1 ? '' : 's'}`}</Badge>
                      </span>
                    ))}
                  </span>
                </td>
                <td>{version}</td>
                <td><Age since={since} /></td>
                <td data-silent={isSilent || undefined}>{isSilent ? <Age since={seen} /> : 'now'}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  ) // biome-ignore format: one column a line
}
