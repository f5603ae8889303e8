import { useQuery } from '@tanstack/react-query'
import { useRefetchOn } from '../api/live-queries.ts'
import { approvalsQuery, approvalTypes } from '../api/queries.ts'

/** Number of requests for approval that wait. */
export function InboxCount({ className }: { className: string | undefined }) {
  useRefetchOn(approvalsQuery.queryKey, approvalTypes)
  const { data } = useQuery(approvalsQuery)
  const count = data?.approvals.length ?? 0
  return count === 0 ? null : (
    <span className={className} aria-label={`${count} waiting`}>
      {count}
    </span>
  )
}
