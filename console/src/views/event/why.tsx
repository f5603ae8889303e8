import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { useSource } from '../../api/source.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { whyChain, type WhyRecord } from './why-tree.ts'
import { Chain } from './why-step.tsx'
import styles from './why.module.css'

/** The causes of an event, back to the event from outside. */
export function Why({ id }: { id: string }) {
  const source = useSource()
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['why', source.id, id],
    queryFn: ({ signal }) => source.why(id, signal) as Promise<readonly WhyRecord[]>,
    networkMode: source.networkMode,
  })
  const chain = useMemo(() => data && whyChain(data), [data])
  if (isPending) return <Loading what="causes" />
  if (error) return <Failure error={error} retry={() => void refetch()} />
  return (
    <div className={styles.why} role="region" tabIndex={0} aria-label="Why it happened">
      <Chain chain={chain!} />
    </div>
  )
}
