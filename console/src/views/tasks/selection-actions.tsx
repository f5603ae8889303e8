import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { notify } from '../../ui/toasts.tsx'
import { TaskActions } from '../operations/task-actions.tsx'
import type { SelectedTask, TaskSelection } from './selection.ts'

/** What a person can do with the tasks of a list: some, or all that match a filter. */
export function SelectionActions({ selection }: { selection: TaskSelection }) {
  return (
    <>
      <TaskActions selection={selection} />
      {'tasks' in selection && <CopyIds tasks={selection.tasks} />}
    </>
  )
}

function CopyIds({ tasks }: { tasks: readonly SelectedTask[] }) {
  const copy = async () => {
    await navigator.clipboard.writeText(tasks.map(({ task }) => task).join('\n'))
    notify(tasks.length === 1 ? 'Copied the id' : `Copied ${tasks.length} ids`)
  }
  return (
    <Button look="quiet" onClick={() => void copy()}>
      <Icon name="copy" />
      {tasks.length === 1 ? 'Copy id' : 'Copy ids'}
    </Button>
  )
}
