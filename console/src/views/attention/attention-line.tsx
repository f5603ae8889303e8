import type { Attention } from '../../api/attention.ts'
import { StateBadge } from '../../ui/badge.tsx'
import { Check } from '../../ui/check.tsx'
import { countFull } from '../../ui/format.ts'
import { Age } from '../../ui/time.tsx'
import { useNow } from '../../ui/use-now.ts'
import { codeOf, subjectOf, timeOf, whyOf } from './attention-texts.ts'
import styles from './attention.module.css'

interface AttentionLineProps {
  readonly item: Attention
  readonly picked: boolean
  readonly onPick: (range: boolean) => void
}

/** One entry: what it is about, why it is here, how many are like it. */
export function AttentionLine({ item, picked, onPick }: AttentionLineProps) {
  const now = useNow()
  const [subject, code, why] = [subjectOf(item), codeOf(item), whyOf(item, now)]
  return (
    <div className={styles.line}>
      <Check checked={picked} onChange={onPick} />
      <StateBadge state={item.kind} />
      <span className={styles.main}>
        <span className={styles.subject}>
          <strong title={subject}>{subject}</strong>
          {code !== undefined && <code>{code}</code>}
        </span>
        <span className={styles.why} title={why} dir="auto">
          {why}
        </span>
      </span>
      <span className={styles.like}>
        {item.more !== undefined && (
          <span title={`${countFull(item.more)} entries are like this one`}>× {countFull(item.more + 1)}</span>
        )}
      </span>
      <span className={styles.age}>
        <Age since={timeOf(item)} />
      </span>
    </div>
  )
}
