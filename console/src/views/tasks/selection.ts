import { useRef } from 'react'
import { useUrlState } from '../../shell/url-state.ts'
import type { ListedTask } from '../../api/task-shapes.ts'
import type { TaskListFilter } from './task-filter.ts'

/** What an action needs of a task. */
export type SelectedTask = Pick<ListedTask, 'task' | 'program' | 'state'>

/** What a person selected: some tasks, or all that match a filter, also those that are not loaded. */
export type TaskSelection = { readonly tasks: readonly SelectedTask[] } | { readonly filter: TaskListFilter }

/** An id has 47 characters, and servers take addresses up to 16 KiB. */
const maxSelected = 200
const everything = 'all'

/** The selected tasks, in the URL. */
export function useSelection(tasks: readonly ListedTask[]) {
  const [{ selected = '' }, change] = useUrlState()
  const anchor = useRef<number>(undefined)
  const isAll = selected === everything
  const ids = selected === '' || isAll ? [] : selected.split(',')
  const set = (next: readonly string[]) => change({ selected: next.slice(0, maxSelected).join(',') }, true)
  const chosen = new Set(ids)
  return {
    ids,
    isAll,
    isSelected: (index: number) => isAll || chosen.has(tasks[index]!.task),
    /** With `range`: everything from the row that was toggled before. */
    toggle(index: number, range = false) {
      const { task } = tasks[index]!
      const from = range ? (anchor.current ?? index) : index
      anchor.current = index
      const between = tasks.slice(Math.min(from, index), Math.max(from, index) + 1).map(each => each.task)
      if (isAll) set(tasks.map(each => each.task).filter(each => each !== task))
      else if (range) set([...new Set([...ids, ...between])])
      else set(chosen.has(task) ? ids.filter(each => each !== task) : [...ids, task])
    },
    selectLoaded: () => set(tasks.map(({ task }) => task)),
    selectAll: () => change({ selected: everything }, true),
    clear: () => change({ selected: '' }, true),
  }
}
