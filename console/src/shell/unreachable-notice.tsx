import { useEffect, useState } from 'react'
import { useReachable } from '../api/reachability.ts'
import { Icon } from '../ui/icon.tsx'
import styles from './shell.module.css'

/** Says that the gateway does not answer; what is shown stays. */
export function UnreachableNotice() {
  const isReachable = useReachable()
  const [isOffline, setIsOffline] = useState(!navigator.onLine)
  useEffect(() => {
    const update = () => setIsOffline(!navigator.onLine)
    addEventListener('online', update)
    addEventListener('offline', update)
    return () => {
      removeEventListener('online', update)
      removeEventListener('offline', update)
    }
  }, [])
  if (!isOffline && isReachable) return null
  return (
    <div className={styles.offline} role="status">
      <Icon name="warning" />
      {isOffline ? 'This device is offline.' : 'The gateway does not answer.'} What you see may be old; this page
      continues by itself.
    </div>
  )
}
