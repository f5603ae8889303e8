import type { OperationCommand } from '../../api/operations.ts'
import type { SelectedTask, TaskSelection } from '../tasks/selection.ts'
import type { TaskListFilter } from '../tasks/task-filter.ts'

/** The commands that fit some tasks, or all tasks that a list's filter matches. */
export const taskCommands = (selection: TaskSelection): OperationCommand[] =>
  'filter' in selection ? commandsByFilter(selection.filter) : commandsOn(selection.tasks)

const isLive = (state: string | undefined) => state === 'running' || state === 'waiting'

function commandsOn(tasks: readonly SelectedTask[]): OperationCommand[] {
  const live = tasks.filter(({ state }) => isLive(state))
  const failed = tasks.filter(({ state }) => state === 'failed')
  const unfinished = tasks.filter(({ state }) => state === 'failed' || state === 'cancelled')
  return [
    ...onSome('cancel', live),
    ...onSome('retry', unfinished),
    ...onSome('replay', tasks),
    ...(tasks.length === 1 ? [{ action: 'redrive', task: tasks[0]!.task } as const] : []),
    ...onSome('discard', failed),
  ]
}

/** One command about these tasks; none if there are none. */
function onSome(action: 'cancel' | 'retry' | 'replay' | 'discard', tasks: readonly SelectedTask[]): OperationCommand[] {
  if (tasks.length === 0) return []
  return [tasks.length === 1 ? { action, task: tasks[0]!.task } : { action, ids: tasks.map(({ task }) => task) }]
}

/** Long before any log. */
const anyTime = '36500d'

/** A period is about when tasks started, for failures about when they failed. */
function commandsByFilter({ program, state, since, text, failedWith }: TaskListFilter): OperationCommand[] {
  const named = { ...(program !== undefined && { agent: program }), ...(text !== undefined && { text }) }
  const tasks = { ...named, since: since ?? anyTime }
  const failed = { ...tasks, ...(failedWith !== undefined && { code: failedWith }) }
  const recorded = isLive(state) ? 'live' : state === 'completed' || state === 'failed' || state === 'cancelled' ? state : undefined // biome-ignore format: one line
  const commands: OperationCommand[] = []
  if (failedWith === undefined && (state === undefined || isLive(state))) commands.push({ action: 'cancel', tasks })
  if (state === undefined || state === 'failed')
    commands.push({ action: 'retry', tasks: failed }, { action: 'discard', tasks: failed })
  if (failedWith === undefined && state !== 'continued')
    commands.push({ action: 'replay', tasks: { ...tasks, ...(recorded && { state: recorded }) } })
  return commands
}
