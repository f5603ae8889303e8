import { Button } from '../../ui/button.tsx'
import { countFull } from '../../ui/format.ts'
import { SelectionActions } from './selection-actions.tsx'
import type { TaskSelection } from './selection.ts'
import styles from './tasks.module.css'

interface SelectionBarProps {
  readonly selection: TaskSelection
  /** Whether more tasks match the filter than are selected. */
  readonly canSelectAll: boolean
  readonly onSelectAll: () => void
  readonly onClear: () => void
}

/** Says what is selected, and offers what can be done with it. */
export function SelectionBar({ selection, canSelectAll, onSelectAll, onClear }: SelectionBarProps) {
  return (
    <div className={styles.bar} role="toolbar" aria-label="Selected tasks">
      <b role="status">
        {'filter' in selection ? 'All tasks that match the filter' : `${countFull(selection.tasks.length)} selected`}
      </b>
      {canSelectAll && (
        <Button look="quiet" onClick={onSelectAll}>
          Select all that match
        </Button>
      )}
      <span className={styles.space} />
      <SelectionActions selection={selection} />
      <Button look="quiet" onClick={onClear} title="Escape">
        Clear
      </Button>
    </div>
  )
}
