import type { OpenCall, TaskTurns } from '../../api/task-shapes.ts'
import { Dot } from '../../ui/badge.tsx'
import { Empty } from '../../ui/states.tsx'
import { Age, Time } from '../../ui/time.tsx'
import { toneOfType } from '../event/family.ts'
import { useOpenEvents } from '../event/open-events.ts'
import styles from './waits.module.css'

const kinds: Readonly<Record<string, string>> = {
  'model.invoke': 'an answer of the model',
  'tool.invoke': 'a result of the tool',
  'agent.invoke': 'the end of a task of',
  'approval.requested': 'an approval by',
  'step.invoke': 'a step of',
  'timer.set': 'a timer',
  'task.awaits': 'an event',
}

/** What the task waits for, since when and until when. */
export function WaitsTab({ about }: { about: TaskTurns }) {
  const { toggle } = useOpenEvents()
  if (about.open.length === 0)
    return (
      <Empty title={about.ended === undefined ? 'The task waits for nothing' : 'The task has ended'}>
        {about.ended === undefined && 'It has inputs to decide on: a worker that hosts its program continues it.'}
      </Empty>
    )
  return (
    <div className={styles.scroll}>
      <table className={styles.table}>
        <thead>
          <tr>
            <th>Waits for</th>
            <th>Since</th>
            <th>Until</th>
            <th>Call</th>
          </tr>
        </thead>
        <tbody>
          {about.open.map(call => (
            <tr key={call.id}>
              <td>
                <span className={styles.what}>
                  <Dot tone={toneOfType(call.type)} pulsing />
                  {waitText(call)}
                </span>
              </td>
              <td>
                <Age since={call.since} />
              </td>
              <td>
                {call.until === undefined ? (
                  'no deadline'
                ) : (
                  <>
                    <Age since={call.until} />{' '}
                    <span className={styles.quiet}>
                      <Time at={call.until} />
                    </span>
                  </>
                )}
              </td>
              <td>
                <button type="button" className={styles.link} onClick={() => toggle(call.id)}>
                  open the event
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** `a result of the tool mail.send`. */
const waitText = ({ type, target }: OpenCall): string =>
  [kinds[type] ?? 'an answer of', type === 'timer.set' ? '' : target].join(' ').trim()

/** What a task waits for, in words. A timer beside something else only bounds the wait. */
export function waitTexts({ open, awaits = [] }: Pick<TaskTurns, 'open' | 'awaits'>): readonly string[] {
  const texts = (calls: readonly OpenCall[]) =>
    new Set([...awaits.map(type => `an event ${type}`), ...calls.map(waitText)])
  const others = texts(open.filter(({ type }) => type !== 'timer.set'))
  return [...(others.size > 0 ? others : texts(open))]
}
