import { useInfiniteQuery } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { useSource } from '../../api/source.tsx'
import { countFull } from '../../ui/format.ts'
import { Failure, Loading } from '../../ui/states.tsx'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { CorrelationHead, CorrelationLine } from './correlation-line.tsx'

const pageSize = 100
const rowHeight = 44

interface CorrelationListProps {
  readonly onOpen: (correlation: string) => void
  /** Shown when there is none. */
  readonly empty: React.JSX.Element
}

/** The correlations of the source, most recently active first. */
export function CorrelationList({ onOpen, empty }: CorrelationListProps) {
  const source = useSource()
  const scroller = useRef<HTMLDivElement>(null)
  const [active, setActive] = useState<string>()
  const list = useInfiniteQuery({
    queryKey: ['correlations', source.id],
    queryFn: ({ pageParam, signal }) =>
      source.correlations({ limit: pageSize, ...(pageParam !== undefined && { before: pageParam }) }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next,
    networkMode: source.networkMode,
  })
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = list
  if (isPending) return <Loading what="traces" />
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />
  const rows = data.pages.flatMap(({ correlations }) => correlations)
  if (rows.length === 0) return empty
  const activeIndex = rows.findIndex(({ correlation }) => correlation === active)
  const onScroll = () => {
    const element = scroller.current
    if (!element || !hasNextPage || isFetchingNextPage) return
    if (element.scrollHeight - element.scrollTop - element.clientHeight < 20 * rowHeight) void fetchNextPage()
  }
  return (
    <>
      <CorrelationHead />
      <VirtualRows
        label={`${countFull(rows.length)} traces, most recently active first`}
        scroller={scroller}
        onScroll={onScroll}
        count={rows.length}
        rowHeight={rowHeight}
        keyOf={index => rows[index]!.correlation}
        {...(activeIndex >= 0 && { active: activeIndex })}
        onActive={index => setActive(rows[index]!.correlation)}
        onOpen={index => onOpen(rows[index]!.correlation)}
      >
        {index => <CorrelationLine row={rows[index]!} />}
      </VirtualRows>
    </>
  )
}
