import { useMay } from '../../api/operations.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { openDialog, type ForkTurn } from './open-dialog.ts'

/** Forks a task from one of its turns, after a dialog. Only those who may operate see it. `small`: only the icon. */
export function ForkButton({ task, turn, small = false }: ForkTurn & { small?: boolean }) {
  if (!useMay('operate')) return null
  return (
    <Button
      look={small ? 'quiet' : undefined}
      icon={small}
      aria-label={small ? `Fork from turn ${turn}` : undefined}
      title={`Decide turn ${turn} again in a new task, with other inputs if you like`}
      onClick={event => {
        event.stopPropagation()
        openDialog({ fork: { task, turn } })
      }}
    >
      <Icon name="fork" />
      {!small && 'Fork'}
    </Button>
  )
}
