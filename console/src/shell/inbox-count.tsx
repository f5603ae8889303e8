import { useQuery } from '@tanstack/react-query'
import { useRefetchOn } from '../api/live-queries.ts'
import { approvalsQuery } from '../api/queries.ts'

/** Number of requests for approval that wait. */
export function InboxCount({ className }: { className: string | undefined }) {
  const { data } = useQuery(approvalsQuery)
  useRefetchOn(approvalsQuery.queryKey, ['approval.*'])
  const count = data?.approvals.length ?? 0
  return count === 0 ? null : (
    <span className={className} aria-label={`${count} waiting`}>
      {count}
    </span>
  )
}
