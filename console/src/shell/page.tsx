import type { ReactNode } from 'react'
import { useEffect } from 'react'
import styles from './page.module.css'

interface PageProps {
  readonly title: string
  /** Beside the title: what is shown, in numbers. */
  readonly about?: ReactNode
  /** At the end of the title's line. */
  readonly actions?: ReactNode
  /** Below the title: filters. */
  readonly toolbar?: ReactNode
  readonly children: ReactNode
}

/** The frame of every view: its title, actions, filters, and what it shows. */
export function Page({ title, about, actions, toolbar, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Tidings`
  }, [title])
  return (
    <main className={styles.page}>
      <header className={styles.head}>
        <h1>{title}</h1>
        {about !== undefined && <div className={styles.about}>{about}</div>}
        {actions !== undefined && <div className={styles.actions}>{actions}</div>}
      </header>
      {toolbar !== undefined && <div className={styles.toolbar}>{toolbar}</div>}
      <div className={styles.body}>{children}</div>
    </main>
  )
}
