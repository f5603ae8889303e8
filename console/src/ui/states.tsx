import type { ReactNode } from 'react'
import { problemOf } from '../api/connection.ts'
import { Button } from './button.tsx'
import { classes } from './classes.ts'
import styles from './states.module.css'

/** A place where nothing is yet: says what to do. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={styles.state}>
      <h2>{title}</h2>
      {children}
    </div>
  )
}

/** What failed, why, and what to do next. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { code, message, next } = problemOf(error)
  return (
    <div className={classes(styles.state, styles.error)} role="alert">
      <h2>{message}</h2>
      {next !== undefined && <p>{next}</p>}
      <code>{code}</code>
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  )
}

export function Loading({ what }: { what: string }) {
  return (
    <div className={styles.loading} role="status">
      <span className={styles.bar} />
      <span className="visually-hidden">loading {what}</span>
    </div>
  )
}
