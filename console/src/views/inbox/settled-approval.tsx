import { useQuery } from '@tanstack/react-query'
import type { ApprovalAnswer, ApprovalRequest } from '../../../../src/tasks/approval.ts'
import { useSource } from '../../api/source.tsx'
import { Aside } from '../../ui/aside.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { Time } from '../../ui/time.tsx'
import { eventQuery } from '../event/event-query.ts'
import { ApprovalMatter } from './approval-matter.tsx'
import styles from './inbox.module.css'

/** A request that a link points to and that does not wait any more: what it was about, and who answered. */
export function SettledApproval({ id, onClose }: { id: string; onClose: () => void }) {
  const source = useSource()
  const request = useQuery(eventQuery(source, id))
  const answer = useQuery({ ...eventQuery(source, `${id}:result`), retry: false })
  const event = request.data?.event
  return (
    <Aside title={event?.target ?? 'Request for approval'} onClose={onClose}>
      {request.isPending && <Loading what="the request" />}
      {request.error && <Failure error={request.error} />}
      {event && (
        <>
          {!answer.isPending && <Outcome answer={answer.data?.event} />}
          <ApprovalMatter
            request={{
              id,
              ...(event.data as ApprovalRequest),
              since: event.time,
              correlation: event.correlationid,
              from: event.replyto ?? event.source,
            }}
          />
        </>
      )}
    </Aside>
  )
}

function Outcome({ answer }: { answer: { type: string; data?: unknown } | undefined }) {
  const { by, at, comment } = (answer?.data ?? {}) as Partial<ApprovalAnswer>
  if (!answer || by === undefined)
    return (
      <p className={styles.settled}>
        <Badge tone="other">over</Badge>
        It does not wait for you: its deadline has passed, its task has ended, or others may answer it.
      </p>
    )
  const isGranted = answer.type === 'approval.granted'
  return (
    <p className={styles.settled}>
      <Badge tone={isGranted ? 'ok' : 'failed'}>{isGranted ? 'approved' : 'denied'}</Badge>
      by {by} {at !== undefined && <Time at={at} />}
      {comment !== undefined && <q dir="auto">{comment}</q>}
    </p>
  )
}
