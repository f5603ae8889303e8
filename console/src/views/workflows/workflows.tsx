import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { get } from '../../api/connection.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import type { Workflow } from '../../api/task-shapes.ts'
import { Page } from '../../shell/page.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { InstanceCounts } from './instance-counts.tsx'
import styles from './workflows.module.css'

export const workflowsQuery = {
  queryKey: ['workflows'],
  queryFn: ({ signal }: { signal: AbortSignal }) =>
    get<{ workflows: readonly Workflow[] }>('workflows', undefined, signal),
}

/** The workflows that apps declare, with their instances in numbers. */
export function Workflows() {
  const { data, error, isPending, refetch } = useQuery(workflowsQuery)
  useRefetchOn(workflowsQuery.queryKey, ['task.turn'])
  const workflows = data?.workflows ?? []
  return (
    <Page title="Workflows" about={data && workflows.length}>
      {isPending && <Loading what="workflows" />}
      {error && !data && <Failure error={error} retry={() => void refetch()} />}
      {data && workflows.length === 0 && (
        <Empty title="No app on this log declares a workflow">
          <p>
            A workflow is data: steps over patterns of events. Start an app that has one, and its graph appears here.
          </p>
        </Empty>
      )}
      {workflows.length > 0 && (
        <ul className={styles.list}>
          {workflows
            .toSorted((a, b) => a.name.localeCompare(b.name) || b.version - a.version)
            .map(workflow => (
              <li key={workflow.hash} className={styles.item}>
                <div className={styles.about}>
                  <Link className={styles.name} to="/workflows/$name" params={{ name: workflow.name }}>
                    {workflow.name}
                  </Link>
                  <span className={styles.version}>
                    v{workflow.version} <code title={workflow.hash}>{workflow.hash.slice(0, 8)}</code>
                  </span>
                  {workflow.keyed && <Badge tone="workflow">one for each key</Badge>}
                  <p className={styles.description} title={workflow.description ?? workflow.events.join(', ')}>
                    {workflow.description ?? startText(workflow)}
                  </p>
                </div>
                <InstanceCounts workflow={workflow} />
              </li>
            ))}
        </ul>
      )}
    </Page>
  )
}

/** What begins an instance, in words. */
export function startText({ events, callable }: Pick<Workflow, 'events' | 'callable'>): string {
  const parts = [
    ...(events.length > 0 ? [`takes ${events.join(', ')}`] : []),
    ...(callable ? ['is called by name'] : []),
  ]
  return parts.join('; ')
}
