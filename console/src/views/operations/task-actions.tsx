import type { OperationCommand } from '../../api/operations.ts'
import { OperationButton } from './operation-button.tsx'

/** A task as far as commands need it. */
interface ActionableTask {
  readonly task: string
  readonly state: string
}

/** The commands that fit these tasks: one, or a selection. */
export function TaskActions({ tasks }: { tasks: readonly ActionableTask[] }) {
  const live = tasks.filter(({ state }) => state === 'running' || state === 'waiting')
  const failed = tasks.filter(({ state }) => state === 'failed')
  const retryable = tasks.filter(({ state }) => state === 'failed' || state === 'cancelled')
  return (
    <>
      <OperationButton commands={onTasks('cancel', live)} label={labelOf('Cancel', live, tasks)} />
      <OperationButton commands={onTasks('retry', retryable)} label={labelOf('Retry', retryable, tasks)} />
      <OperationButton commands={onTasks('replay', tasks)} />
      <OperationButton commands={onTasks('discard', failed)} label={labelOf('Discard', failed, tasks)} />
    </>
  )
}

/** One command about these tasks; none if there are none. */
function onTasks(
  action: 'cancel' | 'retry' | 'replay' | 'discard',
  tasks: readonly ActionableTask[],
): OperationCommand[] {
  if (tasks.length === 0) return []
  return [tasks.length === 1 ? { action, task: tasks[0]!.task } : { action, ids: tasks.map(({ task }) => task) }]
}

/** With the number if a command does not fit the whole selection. */
const labelOf = (name: string, fitting: readonly unknown[], all: readonly unknown[]) =>
  fitting.length === all.length ? name : `${name} ${fitting.length}`
