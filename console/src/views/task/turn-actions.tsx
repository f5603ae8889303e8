import type { TurnDetails } from '../../../../src/trace/details.ts'
import type { TaskTurns } from '../../api/task-shapes.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { notify } from '../../ui/toasts.tsx'

/** What a person can do with one turn of a task. */
export function TurnActions({ about, turn }: { about: TaskTurns; turn: TurnDetails }) {
  const copy = async () => {
    await navigator.clipboard.writeText(`tidings fork ${about.task}@${turn.version}`)
    notify('Copied the command that forks the task at this turn')
  }
  return (
    <Button look="quiet" onClick={() => void copy()} title="Copy the command that decides from this turn again">
      <Icon name="copy" />
      Fork command
    </Button>
  )
}
