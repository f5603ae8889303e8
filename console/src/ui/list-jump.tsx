import type { ReactNode } from 'react'
import { Icon } from './icon.tsx'
import styles from './list-jump.module.css'

interface ListJumpProps {
  readonly direction: 'up' | 'down'
  readonly onClick: () => void
  readonly children: ReactNode
}

/** A button above a list that goes to what arrived meanwhile. */
export function ListJump({ direction, onClick, children }: ListJumpProps) {
  return (
    <button type="button" className={styles.jump} onClick={onClick}>
      <Icon name={direction} />
      {children}
    </button>
  )
}
