import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Age } from '../../ui/time.tsx'
import { forget, useAsked } from './asked.ts'
import styles from './earlier.module.css'

/** Questions that were asked in this browser. */
export function Earlier({ onOpen }: { onOpen: (correlation: string) => void }) {
  const asked = useAsked()
  if (asked.length === 0) return null
  return (
    <section className={styles.earlier} aria-label="Earlier questions">
      <h2>Earlier questions</h2>
      <ul>
        {asked.map(({ correlation, text, at }) => (
          <li key={correlation}>
            <button type="button" className={styles.open} title={text} onClick={() => onOpen(correlation)}>
              <span className={styles.text} dir="auto">
                {text}
              </span>
              <span className={styles.age}>
                <Age since={at} />
              </span>
            </button>
            <Button
              look="quiet"
              icon
              aria-label={`Remove ${text}`}
              title="Remove from this list"
              onClick={() => forget(correlation)}
            >
              <Icon name="close" size={14} />
            </Button>
          </li>
        ))}
      </ul>
    </section>
  )
}
