import { Link, useParams } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { shortId } from '../../../../src/trace/short-id.ts'
import { useHotkeys } from '../../shell/hotkeys.ts'
import { Page } from '../../shell/page.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { StateBadge } from '../../ui/badge.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { Id } from '../../ui/id.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { Tabs } from '../../ui/tabs.tsx'
import { Inspector } from '../event/inspector.tsx'
import { useOpenEvents } from '../event/open-events.ts'
import { TaskActions } from '../operations/task-actions.tsx'
import { ConversationTab } from './conversation-tab.tsx'
import { TaskFacts } from './task-facts.tsx'
import { useTaskStream } from './task-stream.ts'
import { TurnsTab } from './turns-tab.tsx'
import { useTask, useTaskRefresh } from './use-task.ts'
import { WaitsTab } from './waits-tab.tsx'
import styles from './task.module.css'

const WorkflowTab = lazy(() => import('./workflow-tab.tsx').then(({ WorkflowTab: tab }) => ({ default: tab })))

/** One task: its conversation, turns, open calls, and the graph of a workflow instance. */
export function Task() {
  const { task } = useParams({ strict: false }) as { task: string }
  return <TaskPage key={task} task={task} />
}

function TaskPage({ task }: { task: string }) {
  const { view, error, refetch } = useTask(task)
  const [{ tab }, change] = useUrlState()
  const { open, close, closeAll } = useOpenEvents()
  const refresh = useTaskRefresh(task)
  const texts = useTaskStream(task, view !== undefined && view.about.ended === undefined, refresh)
  const about = view?.about
  const isWorkflow = about?.kind === 'workflow'
  const tabIds = [...(isWorkflow ? ['workflow'] : []), 'conversation', 'turns', 'waits']
  const shown = tab !== undefined && tabIds.includes(tab) ? tab : tabIds[0]!
  const tabLabel = (id: string, text: string) => <span title={`Key ${tabIds.indexOf(id) + 1}`}>{text}</span>
  useHotkeys({
    Escape: closeAll,
    ...Object.fromEntries(tabIds.map((id, i) => [String(i + 1), () => change({ tab: id }, true)])),
  })
  return (
    <Page
      title={about?.program ?? shortId(task)}
      about={
        <>
          {about && <StateBadge state={about.state} />}
          <Id id={task} program={about?.program} />
          {about && (
            <span title={`Program ${about.program}, version ${about.version}, hash ${about.hash}`}>
              v{about.version} <code>{about.hash.slice(0, 8)}</code>
            </span>
          )}
        </>
      }
      actions={
        <>
          <Link className={styles.trace} to="/traces/$correlation" params={{ correlation: task.slice(0, 36) }}>
            <Icon name="trace" />
            Trace
          </Link>
          {about && <TaskActions selection={{ tasks: [about] }} />}
        </>
      }
    >
      <div className={styles.main}>
        {error && !view && <Failure error={error} retry={() => void refetch()} />}
        {!error && !view && <Loading what="the task" />}
        {view && about && (
          <>
            <TaskFacts view={view} hasProblem={shown !== 'conversation'} />
            {view.problem !== undefined && <Failure error={view.problem} retry={refresh} />}
            <Tabs
              value={shown}
              onChange={id => change({ tab: id, turn: '' }, true)}
              tabs={[
                ...(isWorkflow
                  ? [
                      {
                        id: 'workflow',
                        label: tabLabel('workflow', 'Workflow'),
                        content: (
                          <Suspense fallback={<Loading what="the graph" />}>
                            <WorkflowTab about={about} />
                          </Suspense>
                        ),
                      },
                    ]
                  : []),
                {
                  id: 'conversation',
                  label: tabLabel('conversation', 'Conversation'),
                  content: <ConversationTab view={view} texts={texts} />,
                },
                {
                  id: 'turns',
                  label: tabLabel('turns', `Turns ${countFull(about.total)}`),
                  content: <TurnsTab view={view} />,
                },
                {
                  id: 'waits',
                  label: tabLabel('waits', `Open calls ${about.open.length}`),
                  content: <WaitsTab about={about} />,
                },
              ]}
            />
          </>
        )}
      </div>
      {open.length > 0 && <Inspector ids={open} onClose={close} />}
    </Page>
  )
}
