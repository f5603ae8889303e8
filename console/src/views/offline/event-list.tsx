import { useInfiniteQuery } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { useSource } from '../../api/source.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { VirtualRows } from '../../ui/virtual-rows.tsx'
import { EventLine } from '../event/event-line.tsx'
import { useOpenEvents } from '../event/open-events.ts'

const pageSize = 1_000
const rowHeight = 30

/** The events of the source that match the filters in the URL, newest first. */
export function EventList() {
  const source = useSource()
  const [{ type, text, failed }] = useUrlState()
  const { open, toggle } = useOpenEvents()
  const scroller = useRef<HTMLDivElement>(null)
  const [active, setActive] = useState<string>()
  const filter = { ...(type && { type }), ...(text && { text }), ...(failed && { failed }) }
  const list = useInfiniteQuery({
    queryKey: ['events', source.id, filter],
    queryFn: ({ pageParam, signal }) =>
      source.events(filter, { limit: pageSize, ...(pageParam !== undefined && { before: pageParam }) }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next,
    networkMode: source.networkMode,
  })
  const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage } = list
  if (isPending) return <Loading what="events" />
  if (error) return <Failure error={error} />
  const rows = data.pages.flatMap(({ events }) => events)
  if (rows.length === 0) return <Empty title="No event matches">Change the filters above.</Empty>
  const activeIndex = rows.findIndex(({ id }) => id === active)
  const onScroll = () => {
    const element = scroller.current
    if (!element || !hasNextPage || isFetchingNextPage) return
    if (element.scrollHeight - element.scrollTop - element.clientHeight < 40 * rowHeight) void fetchNextPage()
  }
  return (
    <VirtualRows
      label="Events, newest first"
      scroller={scroller}
      onScroll={onScroll}
      count={rows.length}
      rowHeight={rowHeight}
      keyOf={index => rows[index]!.id}
      {...(activeIndex >= 0 && { active: activeIndex })}
      onActive={index => setActive(rows[index]!.id)}
      onOpen={index => toggle(rows[index]!.id)}
      isSelected={index => open.includes(rows[index]!.id)}
    >
      {index => <EventLine row={rows[index]!} />}
    </VirtualRows>
  )
}
