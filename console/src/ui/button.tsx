import type { ButtonHTMLAttributes } from 'react'
import { classes } from './classes.ts'
import styles from './button.module.css'

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly look?: 'primary' | 'danger' | 'quiet' | undefined
  /** Shows only an icon; `aria-label` says what it does. */
  readonly icon?: boolean
  /** Of a toggle: whether it is on. */
  readonly pressed?: boolean
}

export function Button({ look, icon = false, pressed, className, ...props }: ButtonProps) {
  return (
    <button
      type="button"
      aria-pressed={pressed}
      className={classes(
        styles.button,
        look && styles[look],
        icon && styles.icon,
        pressed && styles.pressed,
        className,
      )}
      {...props}
    />
  )
}
