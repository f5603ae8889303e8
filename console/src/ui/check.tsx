import { Icon } from './icon.tsx'
import styles from './check.module.css'

interface CheckProps {
  readonly checked: boolean
  /** `range`: with everything from the row before. */
  readonly onChange: (range: boolean) => void
}

/** Selects the row that it is in, for the pointer; the row says that it is selected, and `x` selects by keyboard. */
export const Check = ({ checked, onChange }: CheckProps) => (
  <span
    className={styles.check}
    data-checked={checked || undefined}
    title="Select (x); with Shift: all in between"
    aria-hidden="true"
    onClick={event => {
      event.stopPropagation()
      onChange(event.shiftKey)
    }}
    // A click with Shift would select text.
    onMouseDown={event => event.shiftKey && event.preventDefault()}
  >
    <span>{checked && <Icon name="check" size={12} />}</span>
  </span>
)

/** In the head of a list: selects all rows that are loaded. */
export const CheckAll = ({ label, onClick }: { label: string; onClick: () => void }) => (
  <button type="button" className={styles.check} aria-label={label} onClick={onClick}>
    <span />
  </button>
)
