import { useQuery } from '@tanstack/react-query'
import { Navigate, useParams } from '@tanstack/react-router'
import { get } from '../../api/connection.ts'
import { Page } from '../../shell/page.tsx'
import { Failure, Loading } from '../../ui/states.tsx'

interface Found {
  readonly event?: string
  readonly task?: string
  readonly correlation?: string
}

/** Goes to what an id, or the end of one, names. */
export function Find() {
  const { id = '' } = useParams({ strict: false })
  const { data, error } = useQuery({
    queryKey: ['find', id],
    queryFn: ({ signal }) => get<Found>(`find/${encodeURIComponent(id)}`, undefined, signal),
  })
  if (data?.task !== undefined) return <Navigate to="/tasks/$task" params={{ task: data.task }} replace />
  if (data?.correlation !== undefined)
    return (
      <Navigate
        to="/traces/$correlation"
        params={{ correlation: data.correlation }}
        search={data.event === undefined ? {} : { at: data.event }}
        replace
      />
    )
  return <Page title={`Find ${id}`}>{error ? <Failure error={error} /> : <Loading what={id} />}</Page>
}
