import { useQuery } from '@tanstack/react-query'
import { get } from '../../api/connection.ts'
import type { TaskTurns, Workflow } from '../../api/task-shapes.ts'
import { Failure, Loading } from '../../ui/states.tsx'
import { Age } from '../../ui/time.tsx'
import { Graph } from '../workflows/graph.tsx'
import { Legend } from '../workflows/legend.tsx'
import { taskKey } from './use-task.ts'
import { waitTexts } from './waits-tab.tsx'
import styles from './workflow-tab.module.css'

/** The graph of a workflow instance, with how far it is. */
export function WorkflowTab({ about }: { about: TaskTurns }) {
  const { task } = about
  const { data, error, isPending, refetch } = useQuery({
    queryKey: [...taskKey(task), 'graph'],
    queryFn: ({ signal }) =>
      get<Omit<Workflow, 'instances'>>(`tasks/${encodeURIComponent(task)}/graph`, undefined, signal),
  })
  if (isPending) return <Loading what="the graph" />
  if (error) return <Failure error={error} retry={() => void refetch()} />
  return (
    <div className={styles.tab}>
      <p className={styles.sentence} role="status">
        <Sentence about={about} workflow={data} />
        <Legend isInstance />
      </p>
      <Graph graph={data.graph} label={`Steps of ${data.name}`} />
    </div>
  )
}

/** Where the instance is, and what it waits for until when. */
function Sentence({ about, workflow }: { about: TaskTurns; workflow: Pick<Workflow, 'graph'> }) {
  const { ended, state, open } = about
  if (ended !== undefined)
    return (
      <span>
        The instance <b>{state}</b> <Age since={ended} />.
      </span>
    )
  const at = workflow.graph.nodes.find(node => node.state === 'active')
  const waits = waitTexts(about)
  const until = open.map(call => call.until).filter(each => each !== undefined).toSorted()[0] // biome-ignore format: one line
  return (
    <span>
      {at === undefined ? (
        'The instance'
      ) : (
        <>
          At <b>{at.label}</b>
          {at.progress !== undefined && ` (${at.progress})`}, it
        </>
      )}{' '}
      {waits.length === 0 ? 'decides what to do next' : `waits for ${shortList(waits)}`}
      {open[0] && (
        <>
          , since <Age since={open[0].since} />
        </>
      )}
      {until !== undefined && (
        <>
          ; the first deadline is <Age since={until} />
        </>
      )}
      .
    </span>
  )
}

const shortList = (texts: readonly string[]): string =>
  texts.length <= 3 ? texts.join(' and ') : `${texts.slice(0, 2).join(', ')} and ${texts.length - 2} more`
