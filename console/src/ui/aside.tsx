import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { Icon } from './icon.tsx'
import styles from './aside.module.css'

interface AsideProps {
  readonly title: string
  readonly about?: ReactNode
  /** Stays in view below what scrolls. */
  readonly actions?: ReactNode
  readonly onClose: () => void
  readonly children: ReactNode
}

/** Details of the row that is open: beside the list, on a phone above it. */
export function Aside({ title, about, actions, onClose, children }: AsideProps) {
  return (
    <aside className={styles.aside} aria-label={title}>
      <header className={styles.head}>
        <h2 title={title}>{title}</h2>
        {about}
        <Button look="quiet" icon aria-label="Close" title="Close (Escape)" onClick={onClose}>
          <Icon name="close" />
        </Button>
      </header>
      <div className={styles.body}>{children}</div>
      {actions !== undefined && <footer className={styles.actions}>{actions}</footer>}
    </aside>
  )
}
