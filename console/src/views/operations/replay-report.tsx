import { Link } from '@tanstack/react-router'
import type { ReplaySummary, ShownDivergence } from '../../../../src/replay/summary.ts'
import { shortId } from '../../../../src/trace/short-id.ts'
import { Badge } from '../../ui/badge.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { JsonDiff } from '../../ui/json-diff.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import styles from './replay-report.module.css'

/** Where today's code decides differently from the record. */
export function ReplayReport({ report }: { report: Partial<ReplaySummary> }) {
  const { checked = 0, same = 0, diverged = 0, failed = 0, divergences = [], skipped = [] } = report
  return (
    <section className={styles.report} aria-label="Replay">
      <p className={styles.verdict}>
        {diverged === 0 && failed === 0 ? (
          <Badge tone="ok" dot>
            {checked === 0 ? 'nothing replayed' : 'same decisions'}
          </Badge>
        ) : (
          <Badge tone={diverged > 0 ? 'failed' : 'waiting'} dot>
            {diverged > 0 ? 'decides differently' : 'incomplete'}
          </Badge>
        )}
        <span>
          {countFull(checked)} replayed, {countFull(same)} as recorded, {countFull(diverged)} differ
          {failed > 0 && `, ${countFull(failed)} could not be replayed`}
        </span>
      </p>
      {divergences.map((divergence, index) => (
        <Divergence key={index} divergence={divergence} />
      ))}
      {skipped.length > 0 && (
        <div className={styles.skipped}>
          <h3>Not replayed</h3>
          {skipped.map(({ task, why }) => (
            <p key={task}>
              <Link to="/tasks/$task" params={{ task }}>
                {shortId(task)}
              </Link>
              {why}
            </p>
          ))}
        </div>
      )}
    </section>
  )
}

function Divergence({ divergence }: { divergence: ShownDivergence }) {
  const { task, program, turn, kind, what, diff, at, hints = [] } = divergence
  return (
    <article className={styles.divergence} aria-label={what}>
      <header>
        <Badge tone={kind === 'threw' ? 'failed' : 'waiting'}>{kind}</Badge>
        <h3 title={what}>{what}</h3>
        <Link
          to="/tasks/$task"
          params={{ task }}
          search={{ tab: 'turns', turn: String(turn) }}
          title={`${program} ${task}`}
        >
          turn {turn} of {shortId(task)}
        </Link>
      </header>
      {diff.map(change => (
        <div key={change.path} className={styles.change}>
          <code title={change.path}>{change.path}</code>
          <JsonDiff {...sidesOf(change)} />
        </div>
      ))}
      {'recorded' in divergence && <Side title="Recorded; today’s code does not emit it" value={divergence.recorded} />}
      {'now' in divergence && <Side title="Not recorded; today’s code emits it" value={divergence.now} />}
      <footer>
        {at !== undefined && (
          <span>
            <Icon name="file" size={12} /> <code>{at}</code>
          </span>
        )}
        {hints.map(hint => (
          <span key={hint.at} title="It returns another value each time: use ctx.now, or a tool">
            <Icon name="warning" size={12} /> {hint.what} at <code>{hint.at}</code>
          </span>
        ))}
      </footer>
    </article>
  )
}

const Side = ({ title, value }: { title: string; value: unknown }) => (
  <div className={styles.side}>
    <h3>{title}</h3>
    <JsonView value={shown(value)} label={title} />
  </div>
)

/** A side without the value is undefined: the other one was added or removed. */
const sidesOf = (change: ShownDivergence['diff'][number]) => ({
  before: 'before' in change ? shown(change.before) : undefined,
  after: 'after' in change ? shown(change.after) : undefined,
})

/** Of a value that was too large for the report, its beginning. */
function shown(value: unknown): unknown {
  const { truncated, preview, chars } = (value ?? {}) as { truncated?: true; preview?: string; chars?: number }
  return truncated === true && preview !== undefined ? `${preview}… (${countFull(chars ?? 0)} characters)` : value
}
