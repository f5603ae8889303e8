import { Link } from '@tanstack/react-router'
import type { Workflow } from '../../api/task-shapes.ts'
import { Dot, toneOfState } from '../../ui/badge.tsx'
import { countFull, countShort } from '../../ui/format.ts'
import styles from './workflows.module.css'

/** How many instances of a workflow are in each state; each number leads to them. */
export function InstanceCounts({ workflow: { name, instances } }: { workflow: Workflow }) {
  return (
    <span className={styles.counts}>
      {(['running', 'waiting', 'failed'] as const).map(state => (
        <Link
          key={state}
          className={styles.count}
          to="/tasks"
          search={{ program: name, state }}
          title={`${countFull(instances[state])} ${state}${state === 'failed' ? ', neither retried nor discarded' : ''}`}
          data-none={instances[state] === 0 || undefined}
        >
          <Dot tone={toneOfState(state)} />
          <b>{countShort(instances[state])}</b> {state}
        </Link>
      ))}
      <Link className={styles.count} to="/tasks" search={{ program: name }}>
        All instances
      </Link>
    </span>
  )
}
