import { useQuery } from '@tanstack/react-query'
import { get } from '../../api/connection.ts'
import { Failure, Loading } from '../../ui/states.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import styles from './why.module.css'

/** The causes of an event, back to the event from outside. */
export function Why({ id }: { id: string }) {
  const { data, error, isPending } = useQuery({
    queryKey: ['why', id],
    queryFn: ({ signal }) => get<readonly unknown[]>(`events/${encodeURIComponent(id)}/why`, undefined, signal),
  })
  if (isPending) return <Loading what="causes" />
  if (error) return <Failure error={error} />
  return (
    <ol className={styles.why}>
      {data.map((step, index) => (
        <li key={index}>
          <JsonView value={step} />
        </li>
      ))}
    </ol>
  )
}
