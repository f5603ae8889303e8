import { Link } from '@tanstack/react-router'
import { correlationOf } from '../../../../src/bus/ids.ts'
import { shortId } from '../../../../src/trace/short-id.ts'
import type { Attention } from '../../api/attention.ts'
import { Aside } from '../../ui/aside.tsx'
import { StateBadge } from '../../ui/badge.tsx'
import { countFull } from '../../ui/format.ts'
import { Facts } from '../../ui/facts.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Id } from '../../ui/id.tsx'
import { Time } from '../../ui/time.tsx'
import { useNow } from '../../ui/use-now.ts'
import { ForkButton } from '../operations/fork-button.tsx'
import { OperationButton } from '../operations/operation-button.tsx'
import { PauseButton } from '../operations/pause-button.tsx'
import { actionsFor, commandsFor, forkOf, pauseOf } from './attention-commands.ts'
import { codeOf, isDelivery, kindTexts, subjectOf, timeOf, whyOf } from './attention-texts.ts'
import styles from './attention.module.css'

/** One entry in full, with what a person can do about it. */
export function AttentionDetails({ item, onClose }: { item: Attention; onClose: () => void }) {
  const now = useNow()
  const task = isDelivery(item) ? undefined : item.task
  const event = isDelivery(item) ? item.event.id : item.kind === 'failed' ? item.event : undefined
  const correlation = isDelivery(item) ? item.event.correlationid : correlationOf(item.task)
  const code = codeOf(item)
  const hint = isDelivery(item) ? item.reason.next : undefined
  return (
    <Aside
      title={subjectOf(item)}
      about={<StateBadge state={item.kind} />}
      onClose={onClose}
      actions={<Actions item={item} />}
    >
      <section className={styles.what} aria-label="What happened">
        {code !== undefined && <code>{code}</code>}
        <p dir="auto">{whyOf(item, now)}</p>
        {hint !== undefined && <p className={styles.hint}>{hint}</p>}
      </section>
      <p className={styles.about}>{kindTexts[item.kind].about}</p>
      {item.more !== undefined && (
        <p className={styles.about}>
          It stands for {countFull(item.more + 1)} entries. The buttons below are about all of them.
        </p>
      )}
      <Facts
        facts={[
          ['since', <Time key="time" at={timeOf(item)} />],
          [
            'task',
            task !== undefined && (
              <Link key="task" to="/tasks/$task" params={{ task }}>
                {shortId(task)}
              </Link>
            ),
          ],
          [
            'trace',
            <Link
              key="trace"
              to="/traces/$correlation"
              params={{ correlation }}
              search={event === undefined ? {} : { at: event, open: event }}
            >
              What led to it
            </Link>,
          ],
          ['event', isDelivery(item) && `${item.event.type} from ${item.event.source}`],
          ['group', isDelivery(item) && item.group],
          ['attempts', isDelivery(item) && countFull(item.attempts)],
          ['delivery', isDelivery(item) && `#${item.id}`],
          ['key', isDelivery(item) && item.key],
          ['event id', event !== undefined && <Id key="event" id={event} />],
        ]}
      />
      <section className={styles.commands} aria-label="On the command line">
        <h3>On the command line</h3>
        {item.next.map(command => (
          <Command key={command} text={command} />
        ))}
      </section>
    </Aside>
  )
}

function Actions({ item }: { item: Attention }) {
  const paused = pauseOf(item)
  const fork = forkOf(item)
  const task = isDelivery(item) ? undefined : item.task
  return (
    <>
      {paused && <PauseButton {...paused} paused />}
      {fork && <ForkButton {...fork} />}
      {actionsFor(item).map(action => (
        <OperationButton key={action} commands={commandsFor(action, [item])} />
      ))}
      {task !== undefined && item.more === undefined && <OperationButton commands={[{ action: 'replay', task }]} />}
    </>
  )
}

function Command({ text }: { text: string }) {
  return (
    <button
      type="button"
      className={styles.command}
      title="Click to copy"
      onClick={() => void navigator.clipboard.writeText(text)}
    >
      <code>{text}</code>
      <Icon name="copy" size={13} />
    </button>
  )
}
