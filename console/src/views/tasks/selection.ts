import type { ListedTask } from '../../api/task-shapes.ts'
import type { TaskListFilter } from './task-filter.ts'

/** What an action needs of a task. */
export type SelectedTask = Pick<ListedTask, 'task' | 'program' | 'state'>

/** What a person selected: some tasks, or all that match a filter, also those that are not loaded. */
export type TaskSelection = { readonly tasks: readonly SelectedTask[] } | { readonly filter: TaskListFilter }
