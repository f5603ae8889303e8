import { Tabs as Base } from '@base-ui/react/tabs'
import type { ReactNode } from 'react'
import styles from './tabs.module.css'

export interface Tab {
  readonly id: string
  readonly label: ReactNode
  readonly content: ReactNode
}

/** Panels of which one is shown. */
export function Tabs({
  tabs,
  value,
  onChange,
}: {
  tabs: readonly Tab[]
  value: string
  onChange: (id: string) => void
}) {
  return (
    <Base.Root value={value} onValueChange={id => onChange(String(id))} className={styles.tabs}>
      <Base.List className={styles.list}>
        {tabs.map(({ id, label }) => (
          <Base.Tab key={id} value={id} className={styles.tab}>
            {label}
          </Base.Tab>
        ))}
      </Base.List>
      {tabs.map(({ id, content }) => (
        <Base.Panel key={id} value={id} className={styles.panel}>
          {content}
        </Base.Panel>
      ))}
    </Base.Root>
  )
}
