import { useMay, type OperationCommand } from '../../api/operations.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { openDialog } from './open-dialog.ts'
import { actionTexts } from './operation-texts.ts'

interface OperationButtonProps {
  /** Of one action. */
  readonly commands: readonly OperationCommand[]
  /** Only the icon. */
  readonly small?: boolean
  /** Default: the name of the action. */
  readonly label?: string
}

/** A button that gives a command of an operator, after a dialog. Only those who may operate see it. */
export function OperationButton({ commands, small = false, label }: OperationButtonProps) {
  if (!useMay('operate') || commands.length === 0) return null
  const text = actionTexts[commands[0]!.action]
  const name = label ?? text.name
  return (
    <Button
      look={small ? 'quiet' : undefined}
      icon={small}
      title={small ? name : text.about}
      aria-label={small ? name : undefined}
      onClick={event => {
        event.stopPropagation()
        openDialog({ commands })
      }}
    >
      <Icon name={text.icon} />
      {!small && name}
    </Button>
  )
}
