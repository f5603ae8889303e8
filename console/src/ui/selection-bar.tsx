import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { countFull } from './format.ts'
import styles from './selection-bar.module.css'

interface SelectionBarProps {
  readonly count: number
  /** How many rows there are. */
  readonly of: number
  readonly onAll: () => void
  readonly onNone: () => void
  /** What can be done with the selection. */
  readonly children: ReactNode
}

/** Floats above a list while rows are selected. The list is its positioned parent. */
export function SelectionBar({ count, of, onAll, onNone, children }: SelectionBarProps) {
  if (count === 0) return null
  return (
    <div className={styles.bar} role="toolbar" aria-label="Selection">
      <strong>{countFull(count)} selected</strong>
      {children}
      {count < of && (
        <Button look="quiet" onClick={onAll}>
          All {countFull(of)}
        </Button>
      )}
      <Button look="quiet" onClick={onNone} title="Escape">
        None
      </Button>
    </div>
  )
}
