import { useMay, type OperationCommand } from '../../api/operations.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Menu, MenuItem } from '../../ui/menu.tsx'
import type { TaskSelection } from '../tasks/selection.ts'
import { openDialog } from './open-dialog.ts'
import { OperationButton } from './operation-button.tsx'
import { actionTexts } from './operation-texts.ts'
import { taskCommands } from './task-commands.ts'

/** What an operator can do with tasks: what is most likely as buttons, the rest in a menu. */
export function TaskActions({ selection }: { selection: TaskSelection }) {
  const mayOperate = useMay('operate')
  const commands = taskCommands(selection)
  if (!mayOperate || commands.length === 0) return null
  const isLikely = ({ action }: OperationCommand) => action === 'cancel' || action === 'retry' || action === 'replay'
  const others = commands.filter(command => !isLikely(command))
  return (
    <>
      {commands.filter(isLikely).map(command => (
        <OperationButton key={command.action} commands={[command]} />
      ))}
      {others.length > 0 && (
        <Menu
          trigger={
            <Button icon aria-label="More actions" title="More actions">
              <Icon name="more" />
            </Button>
          }
        >
          {others.map(command => (
            <MenuItem key={command.action} onClick={() => openDialog({ commands: [command] })}>
              <Icon name={actionTexts[command.action].icon} />
              {actionTexts[command.action].name}
            </MenuItem>
          ))}
        </Menu>
      )}
    </>
  )
}
