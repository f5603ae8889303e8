import { useInfiniteQuery } from '@tanstack/react-query'
import { useRef } from 'react'
import { useSource } from '../../api/source.tsx'
import { useUrlState } from '../../shell/url-state.ts'
import { Empty, Failure, Loading } from '../../ui/states.tsx'
import { EventRows, eventRowHeight } from '../event/event-rows.tsx'

const pageSize = 1_000

/** The events of the source that match the filters in the URL, newest first. */
export function EventList() {
  const source = useSource()
  const [{ type, text, failed }] = useUrlState()
  const scroller = useRef<HTMLDivElement>(null)
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
  const onScroll = () => {
    const element = scroller.current
    if (!element || !hasNextPage || isFetchingNextPage) return
    if (element.scrollHeight - element.scrollTop - element.clientHeight < 40 * eventRowHeight) void fetchNextPage()
  }
  return <EventRows label="Events, newest first" rows={rows} scroller={scroller} onScroll={onScroll} />
}
