import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { operationQuery, operationTypes, type OperationView } from '../../api/operations.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import { Badge, StateBadge } from '../../ui/badge.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { Id } from '../../ui/id.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { shortId } from '../../../../src/trace/short-id.ts'
import { actionTexts, countOf, selectionText } from './operation-texts.ts'
import { ReplayReport } from './replay-report.tsx'
import { useProgress } from './use-progress.ts'
import styles from './operations.module.css'

interface OperationOutcomeProps {
  readonly id: string
  /** Whether it says which command it is about. */
  readonly isTitled?: boolean
}

/** What becomes of a command: progress, then its result with links to what it started. */
export function OperationOutcome({ id, isTitled = false }: OperationOutcomeProps) {
  useRefetchOn(['operation', id], operationTypes)
  const { data, error, isPending, refetch } = useQuery(operationQuery(id))
  if (isPending) return <Loading what="the operation" />
  if (error) return <Failure error={error} retry={() => void refetch()} />
  return (
    <section className={styles.outcome} aria-label="What became of it" aria-live="polite">
      <header className={styles.outcomeHead}>
        <StateBadge state={data.status} />
        {isTitled && `${actionTexts[data.request.action].name} ${selectionText(data.request)}`}
        <Link to="/operations/$id" params={{ id }} className={styles.open} activeProps={{ hidden: true }}>
          Open the operation
        </Link>
      </header>
      {data.status === 'requested' && <Progress operation={data} />}
      {data.error && <Refusal message={data.error.message} code={data.error.code} />}
      {data.result && <Result operation={data} result={data.result} />}
    </section>
  )
}

function Progress({ operation }: { operation: OperationView }) {
  const { selected, done } = useProgress(operation)
  return (
    <div className={styles.progress}>
      <progress max={selected ?? 1} value={selected === undefined ? undefined : done} />
      <span>
        {selected === undefined ? 'Waiting for a worker …' : progressText(countOf([operation.request], selected), done)}
      </span>
    </div>
  )
}

const progressText = (all: string, done: number | undefined) =>
  done === undefined ? `${all} are at work …` : `${countFull(done)} of ${all}`

type Result = NonNullable<OperationView['result']>

function Result({ operation: { request }, result }: { operation: OperationView; result: Result }) {
  const { found, started = [], refusals = [] } = result
  const text = actionTexts[request.action]
  const isDryRun = 'dryRun' in request && request.dryRun
  if (isDryRun)
    return <p className={styles.about}>{countOf([request], found)} matched. It was a dry run: nothing was changed.</p>
  return (
    <>
      {result.checked === undefined ? <Counts result={result} what={text.done} /> : <ReplayReport report={result} />}
      {refusals.map(({ id, error }) => (
        <Refusal key={id} id={id} message={error.message} code={error.code} />
      ))}
      {started.length > 0 && (
        <div>
          <h3>Started</h3>
          <ul className={styles.started}>
            {started.map(({ correlation, task }) => (
              <li key={task ?? correlation}>
                <Link to="/traces/$correlation" params={{ correlation }}>
                  <Icon name="trace" size={14} /> Trace {shortId(correlation)}
                </Link>
                {task !== undefined && (
                  <Link to="/tasks/$task" params={{ task }}>
                    <Icon name="tasks" size={14} /> Task {shortId(task)}
                  </Link>
                )}
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  )
}

function Counts({ result: { found, done, unchanged, refused }, what }: { result: Result; what: string }) {
  const left = found - done - unchanged - refused
  return (
    <ul className={styles.counts}>
      <li>
        <Badge tone={done > 0 ? 'ok' : 'other'}>{countFull(done)}</Badge> {what}
      </li>
      {unchanged > 0 && (
        <li>
          <Badge tone="other">{countFull(unchanged)}</Badge> were so before
        </li>
      )}
      {refused > 0 && (
        <li>
          <Badge tone="failed">{countFull(refused)}</Badge> refused
        </li>
      )}
      {left > 0 && (
        <li>
          <Badge tone="waiting">{countFull(left)}</Badge> left
        </li>
      )}
    </ul>
  )
}

function Refusal({ id, message, code }: { id?: string; message: string; code: string }) {
  return (
    <div className={styles.refusal}>
      {id !== undefined && <Id id={id} />}
      <span>{message}</span>
      <code>{code}</code>
    </div>
  )
}
