import styles from './check.module.css'

/** A box that selects the row that it is in. The keyboard selects by `x`. */
export const Check = ({ label, checked, onChange }: { label: string; checked: boolean; onChange: () => void }) => (
  // The label around it makes the target as high as the row.
  <label className={styles.check} onClick={event => event.stopPropagation()}>
    <input type="checkbox" aria-label={label} tabIndex={-1} checked={checked} onChange={onChange} />
  </label>
)
