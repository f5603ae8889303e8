import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { parseId, taskId } from '../../../../src/bus/ids.ts'
import type { CloudEvent } from '../../../../src/event.ts'
import { shortId } from '../../../../src/trace/short-id.ts'
import { forkType, type Fork } from '../../../../src/tasks/fork.ts'
import { costText, countFull, durationText } from '../../ui/format.ts'
import { Age, Time } from '../../ui/time.tsx'
import { useNow } from '../../ui/use-now.ts'
import { publisherName } from '../event/family.ts'
import type { TaskView } from './use-task.ts'
import styles from './task.module.css'

interface TaskFactsProps {
  readonly view: TaskView
  /** Whether to say why it failed: the conversation says it too. */
  readonly hasProblem: boolean
}

/** Times, cost, and what the task comes from and goes on as. */
export function TaskFacts({ view: { about, turns }, hasProblem }: TaskFactsProps) {
  const { task, started, ended, since, total, tokens, cost, error, reason } = about
  const now = useNow()
  const start = turns.get(1)?.inputs[0]
  const last = turns.get(total)
  return (
    <>
      <dl className={styles.facts}>
        <Fact name="Started">
          <Time at={started} />
        </Fact>
        <Fact name={ended === undefined ? 'Runs for' : 'Took'}>
          {durationText((ended ?? Math.max(now, since)) - started)}
        </Fact>
        <Fact name="Last turn">
          <Age since={since} />
        </Fact>
        <Fact name="Turns">{countFull(total)}</Fact>
        <Fact name="Tokens">{countFull(tokens)}</Fact>
        <Fact name="Cost">{cost === 0 ? '–' : costText(cost)}</Fact>
        {start && <Origin task={task} start={start} />}
        <Children turns={turns} />
        {last?.retryOf !== undefined && <TaskFact name="Retry of" task={last.retryOf} />}
        {last?.continues !== undefined && last.continues !== task && (
          <TaskFact name="Continues" task={last.continues} />
        )}
        {last?.successor !== undefined && <TaskFact name="Continued by" task={last.successor} />}
      </dl>
      {hasProblem && (error ?? reason) !== undefined && (
        <p className={styles.problem} role="alert">
          {error ? `${error.code}: ${error.message}` : `Cancelled: ${reason}`}
          {error?.next !== undefined && <span className={styles.next}>{error.next}</span>}
        </p>
      )}
    </>
  )
}

/** Who asked, and the task that called it. */
function Origin({ task, start }: { task: string; start: CloudEvent }) {
  const parent = parseId(start.id)?.task ?? parseId(start.causationid ?? '')?.task
  const program = publisherName(start.source).replace(/^\//, '')
  const fork = start.type === forkType ? (start.data as Partial<Fork> | null)?.start : undefined
  return (
    <>
      <Fact name="Asked by">
        <span title={`${start.type} from ${start.source}`}>{start.user ?? (program || 'the app')}</span>
      </Fact>
      {parent !== undefined && parent !== task && <TaskFact name="Called by" task={parent} program={program} />}
      {fork && (
        <Fact name="Fork of">
          <Link to="/traces/$correlation" params={{ correlation: fork.correlationid }}>
            {shortId(fork.correlationid)}
          </Link>
        </Fact>
      )}
    </>
  )
}

const maxChildren = 6

/** The tasks that it called, of the turns that are loaded. */
function Children({ turns }: Pick<TaskView, 'turns'>) {
  const calls = [...turns.values()]
    .flatMap(({ emitted }) => emitted)
    .filter(({ type, target }) => type === 'agent.invoke' && target !== undefined)
  if (calls.length === 0) return null
  const tasks = calls.map(({ correlationid, target, id }) => ({
    program: target!,
    task: taskId(correlationid, target!, id),
  }))
  return (
    <Fact name="Called">
      {tasks.slice(0, maxChildren).map(({ program, task }) => (
        <Link key={task} className={styles.child} to="/tasks/$task" params={{ task }} title={task}>
          {program}
        </Link>
      ))}
      {tasks.length > maxChildren && (
        <Link to="/traces/$correlation" params={{ correlation: calls[0]!.correlationid }}>
          and {tasks.length - maxChildren} more
        </Link>
      )}
    </Fact>
  )
}

function TaskFact({ name, task, program }: { name: string; task: string; program?: string }) {
  return (
    <Fact name={name}>
      <Link to="/tasks/$task" params={{ task }} title={task}>
        {shortId(task, program)}
      </Link>
    </Fact>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
