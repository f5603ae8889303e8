import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { notify } from '../../ui/toasts.tsx'
import type { TaskSelection } from './selection.ts'

/** What a person can do with one task, some, or all that match a filter. */
export function SelectionActions({ selection }: { selection: TaskSelection }) {
  if ('filter' in selection) return null
  const { tasks } = selection
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
