import type { ReactNode } from 'react'
import type { Tone } from '../../ui/badge.tsx'
import { Icon, type IconName } from '../../ui/icon.tsx'
import { Time } from '../../ui/time.tsx'
import styles from './chat.module.css'

interface BubbleProps {
  readonly tone: Tone
  readonly icon: IconName
  readonly name: ReactNode
  readonly about?: ReactNode
  readonly at?: string
  readonly mine?: boolean
  readonly children: ReactNode
}

/** What somebody says, with a name and a time. */
export function Bubble({ tone, icon, name, about, at, mine = false, children }: BubbleProps) {
  return (
    <article className={styles.bubble} data-mine={mine || undefined} style={{ '--tone': `var(--${tone})` } as object}>
      <header className={styles.head}>
        <span className={styles.avatar}>
          <Icon name={icon} size={13} />
        </span>
        <span className={styles.name}>{name}</span>
        <span className={styles.quiet}>{about}</span>
        {at !== undefined && (
          <span className={styles.at}>
            <Time at={at} />
          </span>
        )}
      </header>
      {children}
    </article>
  )
}
