import { Toast as Base } from '@base-ui/react/toast'
import type { ReactNode } from 'react'
import { problemOf } from '../api/connection.ts'
import { Button } from './button.tsx'
import { Icon } from './icon.tsx'
import styles from './toasts.module.css'

const manager = Base.createToastManager()

/** Says that something was done. */
export const notify = (title: string, description?: string): void => {
  manager.add({ title, ...(description !== undefined && { description }) })
}

/** Says what failed, why, and what to do next. */
export function notifyFailure(error: unknown): void {
  const { message, next } = problemOf(error)
  manager.add({ title: message, type: 'failure', timeout: 12_000, ...(next !== undefined && { description: next }) })
}

/** Shows the notices above everything else. */
export function Toasts({ children }: { children: ReactNode }) {
  return (
    <Base.Provider toastManager={manager}>
      {children}
      <Base.Portal>
        <Base.Viewport className={styles.viewport}>
          <Shown />
        </Base.Viewport>
      </Base.Portal>
    </Base.Provider>
  )
}

function Shown() {
  const { toasts } = Base.useToastManager()
  return toasts.map(toast => (
    <Base.Root key={toast.id} toast={toast} className={styles.toast} data-type={toast.type} data-notice>
      <div>
        <Base.Title className={styles.title} />
        <Base.Description className={styles.description} />
      </div>
      <Base.Close render={<Button look="quiet" icon aria-label="Close" />}>
        <Icon name="close" />
      </Base.Close>
    </Base.Root>
  ))
}
