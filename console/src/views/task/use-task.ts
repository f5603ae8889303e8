import { keepPreviousData, useQueries, useQuery, useQueryClient } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import type { TurnDetails } from '../../../../src/trace/details.ts'
import { get } from '../../api/connection.ts'
import type { TaskTurns } from '../../api/task-shapes.ts'

const pageSize = 50
/** Pages that stay loaded while a person scrolls, besides the newest turns. */
const maxPages = 12

export interface TaskView {
  readonly about: TaskTurns
  /** The turns that are loaded, by version. */
  readonly turns: ReadonlyMap<number, TurnDetails>
  /** Of a turn that is not among them: whether retention removed it. */
  readonly isGone: (version: number) => boolean
  /** Loads turns from one version to another. */
  readonly want: (first: number, last: number) => void
  /** What failed while turns were loaded. */
  readonly problem: unknown
}

export const taskKey = (task: string) => ['task', task]
const turnsPath = (task: string) => `tasks/${encodeURIComponent(task)}/turns`

/** A task and its newest turns; older ones are loaded page by page when they come into view. */
export function useTask(task: string) {
  const newest = useQuery({
    queryKey: [...taskKey(task), 'newest'],
    queryFn: ({ signal }) => get<TaskTurns>(turnsPath(task), { last: pageSize }, signal),
    placeholderData: keepPreviousData,
  })
  const [pages, setPages] = useState<readonly number[]>([0])
  const total = newest.data?.total ?? 0
  const firstOfNewest = newest.data?.turns[0]?.version ?? 0
  const wanted = pages.filter(page => page * pageSize + 1 < firstOfNewest)
  const older = useQueries({
    queries: wanted.map(page => ({
      queryKey: ['turns', task, page],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        get<TaskTurns>(turnsPath(task), { after: page * pageSize, limit: pageSize }, signal),
      // Turns do not change.
      staleTime: Infinity,
    })),
    combine: results => ({
      turns: results.flatMap(({ data }) => data?.turns ?? []),
      loaded: new Set(wanted.filter((_, i) => results[i]?.data !== undefined)),
      problem: results.find(({ error }) => error)?.error,
    }),
  })
  const turns = useMemo(
    () => new Map([...older.turns, ...(newest.data?.turns ?? [])].map(turn => [turn.version, turn])),
    [older.turns, newest.data],
  )
  const want = (first: number, last: number) => {
    const from = Math.floor((Math.max(1, first) - 1) / pageSize)
    const to = Math.floor((Math.min(total, last) - 1) / pageSize)
    const missing = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i).filter(
      page => page * pageSize + 1 < firstOfNewest && !pages.includes(page),
    )
    // The first page has the start of the task, which its head shows.
    if (missing.length > 0) setPages([0, ...[...pages, ...missing].filter(page => page > 0).slice(-maxPages)])
  }
  const isGone = (version: number) => version >= firstOfNewest || older.loaded.has(Math.floor((version - 1) / pageSize))
  const view: TaskView | undefined = newest.data && { about: newest.data, turns, isGone, want, problem: older.problem }
  return { view, error: newest.error, refetch: newest.refetch }
}

/** A function that loads the newest turns again. */
export function useTaskRefresh(task: string): () => void {
  const client = useQueryClient()
  return () => void client.invalidateQueries({ queryKey: taskKey(task) })
}

/** In place of a turn that is not loaded. */
export const missingText = (version: number, isGone: TaskView['isGone']): string =>
  isGone(version) ? `Turn ${version} is no longer on the log` : `Turn ${version} …`
