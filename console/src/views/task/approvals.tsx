import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { createContext, type ReactNode, useContext, useMemo } from 'react'
import { approvalId } from '../../../../src/bus/ids.ts'
import { approvalTypes } from '../../../../src/tasks/approval.ts'
import type { CloudEvent } from '../../../../src/event.ts'
import { get } from '../../api/connection.ts'
import type { EventPage, Row } from '../../api/shapes.ts'
import { Time } from '../../ui/time.tsx'
import { taskKey } from './use-task.ts'
import styles from './chat.module.css'

/* Approvals that tool calls of a task need are events of their own, beside its turns. */

export interface CallApproval {
  readonly request: string
  readonly isOpen: boolean
  readonly decision?: Row
}

const Approvals = createContext<ReadonlyMap<string, CallApproval>>(new Map())

export function ApprovalsOf({ task, children }: { task: string; children: ReactNode }) {
  const { data } = useQuery({
    queryKey: [...taskKey(task), 'approvals'],
    queryFn: ({ signal }) => get<EventPage>('events', { task, type: approvalTypes, limit: 1_000 }, signal),
  })
  const approvals = useMemo(() => approvalsIn(data?.events ?? []), [data])
  return <Approvals value={approvals}>{children}</Approvals>
}

/** The approval that a call needs, or is. */
export function useApproval({ id, type }: CloudEvent): CallApproval | undefined {
  return useContext(Approvals).get(type === 'approval.requested' ? id : approvalId(id))
}

function approvalsIn(rows: readonly Row[]): ReadonlyMap<string, CallApproval> {
  const decisions = new Map(rows.flatMap(row => (row.call === undefined ? [] : [[row.call, row]])))
  const requests = rows.filter(({ type }) => type === 'approval.requested')
  return new Map(
    requests.map(({ id }) => {
      const decision = decisions.get(id)
      return [id, { request: id, isOpen: !decision, ...(decision && { decision }) }]
    }),
  )
}

export function ApprovalNote({ approval: { request, decision } }: { approval: CallApproval }) {
  if (!decision)
    return (
      <p>
        Waits for an approval:{' '}
        <Link to="/inbox" search={{ at: request }}>
          answer it in the inbox
        </Link>
        .
      </p>
    )
  const { by, comment } = (decision.data ?? {}) as { by?: string; comment?: string }
  return (
    <p className={styles.quiet}>
      {decision.type === 'approval.granted' ? 'Approved' : 'Denied'} by {by ?? 'a person'}
      {comment !== undefined && <>: {comment}</>} · <Time at={decision.time} />
    </p>
  )
}
