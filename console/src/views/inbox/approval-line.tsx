import type { OpenApproval } from '../../../../src/tasks/approval-list.ts'
import { Check } from '../../ui/check.tsx'
import { Age } from '../../ui/time.tsx'
import { publisherName } from '../event/family.ts'
import { Deadline } from './deadline.tsx'
import { summarizeMatter } from './matter.ts'
import styles from './inbox.module.css'

interface ApprovalLineProps {
  readonly request: OpenApproval
  readonly picked: boolean
  readonly onPick: (range: boolean) => void
}

/** One request: who asks for what, and until when. */
export function ApprovalLine({ request, picked, onPick }: ApprovalLineProps) {
  const { name, from, since, until, what } = request
  const summary = summarizeMatter(what)
  return (
    <div className={styles.line}>
      <Check checked={picked} onChange={onPick} />
      <span className={styles.main}>
        <span className={styles.name}>
          <strong title={name}>{name}</strong>
          {publisherName(from) !== name && <span title={from}>for {publisherName(from)}</span>}
        </span>
        <span className={styles.summary} title={summary} dir="auto">
          {summary}
        </span>
      </span>
      <span className={styles.times}>
        {until === undefined ? <span>no deadline</span> : <Deadline since={since} until={until} />}
        <span>
          asked <Age since={since} />
        </span>
      </span>
    </div>
  )
}
