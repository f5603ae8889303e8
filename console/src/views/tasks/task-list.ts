import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useMemo, useRef } from 'react'
import { get } from '../../api/connection.ts'
import { useRefetchOn } from '../../api/live-queries.ts'
import type { ListedTask, TaskPage } from '../../api/task-shapes.ts'
import type { TaskListFilter } from './task-filter.ts'

const pageSize = 200
/** A list of more pages is not renewed while something happens. */
const maxLivePages = 5

/**
 * Tasks that match a filter, most recently active first. While `isHeld`, what is in view stays where it is: rows change in place, and tasks
 * that are new are counted in `newer`.
 */
export function useTaskList(filter: TaskListFilter, isHeld: boolean) {
  const key = JSON.stringify(filter)
  const { data, error, isPending, isFetching, hasNextPage, fetchNextPage, refetch } = useInfiniteQuery({
    queryKey: ['tasks', filter],
    queryFn: ({ pageParam, signal }) =>
      get<TaskPage>('tasks', { ...filter, limit: pageSize, before: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: ({ next }) => next,
    placeholderData: keepPreviousData,
  })
  const isLive = (data?.pages.length ?? 0) <= maxLivePages
  useRefetchOn(['tasks', filter], isLive ? ['task.turn'] : [])
  const rows = useMemo(
    () => new Map((data?.pages ?? []).flatMap(({ tasks }) => tasks.map(row => [row.task, row]))),
    [data],
  )

  const held = useRef<{ key: string; order: readonly string[] }>({ key, order: [] })
  if (!isHeld || held.current.key !== key) held.current = { key, order: [...rows.keys()] }
  else held.current.order = withOlder(held.current.order, [...rows.keys()])
  const { order } = held.current
  const shown = order.flatMap(task => rows.get(task) ?? [])
  return {
    tasks: shown as readonly ListedTask[],
    newer: rows.size - shown.length,
    isLive,
    hasMore: hasNextPage,
    more: () => {
      if (!isFetching) void fetchNextPage()
    },
    isPending,
    error,
    refetch,
  }
}

/** Adds the tasks that come after all that are shown. */
function withOlder(order: readonly string[], current: readonly string[]): readonly string[] {
  const known = new Set(order)
  const older = current.slice(current.findLastIndex(task => known.has(task)) + 1)
  return older.length === 0 ? order : [...order, ...older]
}
