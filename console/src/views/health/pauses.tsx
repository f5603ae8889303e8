import type { PausableKind } from '../../../../src/bus/pauses.ts'
import { useMay } from '../../api/operations.ts'
import type { Info } from '../../api/shapes.ts'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Menu, MenuItem } from '../../ui/menu.tsx'
import { openDialog } from '../operations/open-dialog.ts'
import { PauseButton } from '../operations/pause-button.tsx'
import styles from './health.module.css'

interface PausesProps {
  readonly paused: readonly { readonly kind: PausableKind; readonly name: string }[]
  readonly agents: Info['agents']
}

/** Resumes and pauses agents. They share the groups of their app, so no row of the table is about one. */
export function Pauses({ paused, agents }: PausesProps) {
  const mayOperate = useMay('operate')
  const resting = paused.filter(({ kind }) => kind === 'agent')
  const running = agents.filter(agent => !resting.some(({ name }) => name === agent.name))
  return (
    <>
      {resting.map(({ name }) => (
        <span key={name} className={styles.paused}>
          <Badge tone="waiting">agent {name} is paused</Badge>
          <PauseButton kind="agent" name={name} paused small />
        </span>
      ))}
      {mayOperate && running.length > 0 && (
        <Menu
          trigger={
            <Button look="quiet">
              <Icon name="pause" />
              Pause an agent
            </Button>
          }
        >
          {running.map(({ name }) => (
            <MenuItem key={name} onClick={() => openDialog({ commands: [{ action: 'pause', kind: 'agent', name }] })}>
              {name}
            </MenuItem>
          ))}
        </Menu>
      )}
    </>
  )
}
