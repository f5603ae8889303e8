import { queryOptions } from '@tanstack/react-query'
import type { OpenApproval } from '../../../src/tasks/approval-list.ts'
import { get } from './connection.ts'
import type { Info } from './shapes.ts'

/* What views read of the gateway. `useRefetchOn` in live-queries.ts repeats a query when an event says that its answer has changed. */

export const infoQuery = queryOptions({
  queryKey: ['info'],
  queryFn: ({ signal }) => get<Info>('info', undefined, signal),
  staleTime: 30_000,
})

export const approvalsQuery = queryOptions({
  queryKey: ['approvals'],
  queryFn: ({ signal }) => get<{ approvals: readonly OpenApproval[] }>('approvals', undefined, signal),
})

/** What makes a request for approval wait, or not wait any more. */
export const approvalTypes = ['approval.*', 'agent.task.cancelled', 'agent.task.failed', 'call.expired']
