import { Link } from '@tanstack/react-router'
import { useQuery } from '@tanstack/react-query'
import type { UsageRow } from '../../../../src/trace/index/rows.ts'
import { get } from '../../api/connection.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import { useUrlState } from '../../shell/url-state.ts'
import { Select } from '../../ui/field.tsx'
import { costText, countFull, countShort } from '../../ui/format.ts'
import { Failure, Loading } from '../../ui/states.tsx'
import { Hours } from './hours.tsx'
import table from './table.module.css'
import styles from './health.module.css'

const columns = [['program', 'by agent'], ['model', 'by model'], ['tenant', 'by tenant']] as const // biome-ignore format: one line
const spans = [['24h', 'last 24 hours'], ['7d', 'last 7 days'], ['30d', 'last 30 days']] as const // biome-ignore format: one line

/** What calls to models cost, by hour, and by agent, model or tenant. */
export function Spend() {
  const [{ by = 'program', since = '24h' }, change] = useUrlState()
  const column = columns.find(([name]) => name === by)?.[0] ?? 'program'
  const key = ['usage', column, since]
  const usage = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => get<{ rows: readonly UsageRow[] }>('usage', { by: `hour,${column}`, since }, signal),
    placeholderData: before => before,
  })
  useRefetchOn(key, ['model.result', 'model.failed'])
  return (
    <section className={styles.section} aria-label="Spend">
      <header>
        <h2>Spend</h2>
        <Select label="Period" value={since} options={spans} onChange={value => change({ since: value }, true)} />
        <Select label="By" value={column} options={columns} onChange={value => change({ by: value }, true)} />
      </header>
      {usage.isPending && <Loading what="usage" />}
      {usage.isError && <Failure error={usage.error} retry={() => void usage.refetch()} />}
      {usage.data && <Spent rows={usage.data.rows} column={column} since={since} />}
    </section>
  )
}

function Spent({
  rows,
  column,
  since,
}: {
  rows: readonly UsageRow[]
  column: 'program' | 'model' | 'tenant'
  since: string
}) {
  const totals = totalsOf(rows, row => row[column] ?? '')
  if (totals.length === 0) return <p className={styles.nothing}>No model was called in this time.</p>
  const hasCost = totals.some(({ cost }) => cost > 0)
  const amountOf = (row: UsageRow) => (hasCost ? row.cost : row.tokens.input + row.tokens.output)
  const most = Math.max(...totals.map(amountOf))
  return (
    <>
      <Hours rows={rows} column={column} since={since} amountOf={amountOf} text={hasCost ? costText : countShort} />
      <div className={table.scroller} tabIndex={0}>
        <table className={table.table}>
          <thead>
            <tr>
              <th>{{ program: 'Agent', model: 'Model', tenant: 'Tenant' }[column]}</th>
              <th className={table.bar}>{hasCost ? 'Share of cost' : 'Share of tokens'}</th>
              <th className={table.number}>Calls</th>
              <th className={table.number}>Failed</th>
              <th className={table.number}>Tokens in</th>
              <th className={table.number}>Tokens out</th>
              <th className={table.number}>Cost</th>
            </tr>
          </thead>
          <tbody>
            {totals.toSorted((a, b) => amountOf(b) - amountOf(a)).map(row => {
              const name = row[column] ?? ''
              const calls = rowsOf(column, name, since)
              return (
                <tr key={name}>
                  <td className={styles.spender}>{calls ? <Link {...calls}>{name}</Link> : name}</td>
                  <td className={table.bar}><span style={{ width: `${(amountOf(row) / most) * 100}%` }} /></td>
                  <td className={table.number}>{calls ? <Link {...calls}>{countFull(row.calls)}</Link> : countFull(row.calls)}</td>
                  <td className={table.number}><Link to="/live" search={{ type: 'model.failed', since, ...(column === 'model' && { source: `/models/${name}` }) }} className={row.failed === 0 ? table.none : undefined} data-tone={row.failed === 0 ? undefined : 'failed'}>{countFull(row.failed)}</Link></td>
                  <td className={table.number} title={countFull(row.tokens.input)}>{countShort(row.tokens.input)}</td>
                  <td className={table.number} title={countFull(row.tokens.output)}>{countShort(row.tokens.output)}</td>
                  <td className={table.number}>{row.cost === 0 ? <span className={table.none}>–</span> : costText(row.cost)}</td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
    </>
  ) // biome-ignore format: one column a line
}

/** Where the rows behind a total are. Lists show only the tenant of the person. */
function rowsOf(
  column: string,
  name: string,
  since: string,
): { to: string; search: Record<string, string> } | undefined {
  if (column === 'program') return { to: '/tasks', search: { program: name, since } }
  if (column === 'tenant') return undefined
  return { to: '/live', search: { source: `/models/${name}`, type: 'model.result model.failed', since } }
}

/** The sum of the rows that have the same key. */
function totalsOf(rows: readonly UsageRow[], keyOf: (row: UsageRow) => string): UsageRow[] {
  return [...Map.groupBy(rows, keyOf).values()].map(same =>
    same.reduce((sum, row) => ({
      ...sum,
      calls: sum.calls + row.calls,
      failed: sum.failed + row.failed,
      cost: sum.cost + row.cost,
      tokens: {
        input: sum.tokens.input + row.tokens.input,
        output: sum.tokens.output + row.tokens.output,
        cached: sum.tokens.cached + row.tokens.cached,
        reasoning: sum.tokens.reasoning + row.tokens.reasoning,
      },
    })),
  )
}
