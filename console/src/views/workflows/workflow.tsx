import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import { get } from '../../api/connection.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import type { Workflow as WorkflowOf } from '../../api/task-shapes.ts'
import { Page } from '../../shell/page.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { Button } from '../../ui/button.tsx'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { Tabs } from '../../ui/tabs.tsx'
import { useIsPhone } from '../../ui/use-is-phone.ts'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { TaskLine } from '../tasks/task-line.tsx'
import { useTaskList } from '../tasks/task-list.ts'
import { InstanceCounts } from './instance-counts.tsx'
import { Legend } from './legend.tsx'
import styles from './workflows.module.css'

const Graph = lazy(() => import('./graph.tsx').then(({ Graph: graph }) => ({ default: graph })))

/** The graph of a workflow, what starts it, and its newest instances. */
export function Workflow() {
  const { name } = useParams({ strict: false }) as { name: string }
  const [{ tab = 'graph' }, change] = useUrlState()
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['workflows', name],
    queryFn: ({ signal }) => get<WorkflowOf>(`workflows/${encodeURIComponent(name)}`, undefined, signal),
  })
  useRefetchOn(['workflows', name], ['task.turn'])
  return (
    <Page
      title={name}
      about={
        data && (
          <span>
            workflow v{data.version} <code title={data.hash}>{data.hash.slice(0, 8)}</code>
          </span>
        )
      }
      actions={data && <InstanceCounts workflow={data} />}
    >
      <div className={styles.main}>
        {isPending && <Loading what="the workflow" />}
        {error && !data && <Failure error={error} retry={() => void refetch()} />}
        {data && (
          <>
            <Starts workflow={data} />
            <Tabs
              value={tab}
              onChange={id => change({ tab: id === 'graph' ? '' : id }, true)}
              tabs={[
                {
                  id: 'graph',
                  label: 'Graph',
                  content: (
                    <Suspense fallback={<Loading what="the graph" />}>
                      <Graph graph={data.graph} label={`Steps of ${name}`} />
                      <div className={styles.legend}>
                        <Legend />
                      </div>
                    </Suspense>
                  ),
                },
                { id: 'instances', label: 'Instances', content: <Instances name={name} /> },
              ]}
            />
          </>
        )}
      </div>
    </Page>
  )
}

/** What its instances begin with, and take. */
function Starts({ workflow: { events, keyed, callable, name } }: { workflow: WorkflowOf }) {
  return (
    <p className={styles.starts}>
      {events.length > 0 && (
        <>
          Takes{' '}
          {events.map(type => (
            <Link key={type} to="/live" search={{ type }}>
              <code>{type}</code>
            </Link>
          ))}
        </>
      )}
      {callable && (
        <span>
          {events.length > 0 ? 'and is called as ' : 'Is called as '}
          <code>{name}</code>
        </span>
      )}
      {keyed && <span>· one instance for each key</span>}
    </p>
  )
}

function Instances({ name }: { name: string }) {
  const navigate = useNavigate()
  const { tasks, isPending, error, hasMore, more, refetch } = useTaskList({ program: name }, false)
  const [active, setActive] = useState(0)
  const rowHeight = useIsPhone() ? 54 : 34
  if (isPending) return <Loading what="instances" />
  if (error && tasks.length === 0) return <Failure error={error} retry={() => void refetch()} />
  if (tasks.length === 0)
    return <Empty title="No instance yet">One starts when an event comes that the workflow takes.</Empty>
  return (
    <VirtualRows
      label="Instances, most recently active first"
      count={tasks.length}
      rowHeight={rowHeight}
      keyOf={index => tasks[index]!.task}
      active={active}
      onActive={setActive}
      onOpen={index =>
        void navigate({ to: '/tasks/$task', params: { task: tasks[index]!.task }, search: { tab: 'workflow' } })
      }
      footer={
        hasMore && (
          <Button look="quiet" onClick={more}>
            Older instances
          </Button>
        )
      }
    >
      {index => <TaskLine row={tasks[index]!} />}
    </VirtualRows>
  )
}
