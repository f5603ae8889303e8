import { type ReactNode, useState } from 'react'
import { Icon } from '../../ui/icon.tsx'
import styles from './disclosure.module.css'

interface DisclosureProps {
  /** The line that is always shown. */
  readonly line: ReactNode
  readonly open?: boolean
  /** A function, so that what is folded is not made. */
  readonly children: () => ReactNode
}

/** A line that unfolds. */
export function Disclosure({ line, open: initially = false, children }: DisclosureProps) {
  const [open, setOpen] = useState(initially)
  return (
    <div className={styles.disclosure} data-open={open || undefined}>
      <button type="button" className={styles.line} aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name={open ? 'down' : 'right'} size={12} />
        {line}
      </button>
      {open && <div className={styles.content}>{children()}</div>}
    </div>
  )
}
