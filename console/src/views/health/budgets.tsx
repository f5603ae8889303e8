import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Budget } from '../../../../src/tasks/budget.ts'
import { shortId } from '../../../../src/trace/short-id.ts'
import { get } from '../../api/connection.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import { bytesText, costText, countFull } from '../../ui/format.ts'
import table from './table.module.css'
import styles from './health.module.css'

interface SpentBudget {
  readonly correlation: string
  readonly share: number
  readonly used: Readonly<Partial<Budget>>
  readonly limit: Readonly<Partial<Budget>>
}

const key = ['budgets']
const texts = { calls: countFull, events: countFull, bytes: bytesText, tokens: countFull, cost: costText } as const
const kinds = ['calls', 'events', 'bytes', 'tokens', 'cost'] as const

/** The requests that are nearest to what they may spend. */
export function Budgets() {
  const { data } = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => get<{ budgets: readonly SpentBudget[] }>('budgets', undefined, signal),
  })
  useRefetchOn(key, ['agent.task.*', 'model.result', 'tool.result'])
  if (!data || data.budgets.length === 0) return null
  const shown = kinds.filter(kind => data.budgets.some(({ limit }) => limit[kind] !== undefined))
  return (
    <section className={styles.section} aria-label="Budgets">
      <header>
        <h2>Budgets</h2>
        <span className={styles.nothing}>What goes on now and has spent the largest share of what it may</span>
      </header>
      <div className={table.scroller} tabIndex={0}>
        <table className={table.table}>
          <thead>
            <tr>
              <th>Request</th>
              <th className={table.bar}>Spent</th>
              {shown.map(kind => <th key={kind} className={table.number}>{kind[0]!.toUpperCase() + kind.slice(1)}</th>)}
            </tr>
          </thead>
          <tbody>
            {data.budgets.map(({ correlation, share, used, limit }) => (
              <tr key={correlation}>
                <td><Link to="/traces/$correlation" params={{ correlation }} title={correlation}>{shortId(correlation)}</Link></td>
                <td className={table.bar} title={`${Math.round(share * 100)} %`}><span style={{ width: `${Math.min(1, share) * 100}%` }} /></td>
                {shown.map(kind => (
                  <td key={kind} className={table.number}>
                    {limit[kind] === undefined ? <span className={table.none}>–</span> : `${texts[kind](used[kind] ?? 0)} of ${texts[kind](limit[kind])}`}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  ) // biome-ignore format: one column a line
}
