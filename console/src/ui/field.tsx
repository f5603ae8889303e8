import { type ReactNode, useEffect, useState } from 'react'
import { Icon, type IconName } from './icon.tsx'
import styles from './field.module.css'

interface FieldProps {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly placeholder?: string
  readonly icon?: IconName
  /** Names to choose from. */
  readonly suggestions?: readonly string[]
  readonly width?: number
  /** Why the text is refused. */
  readonly problem?: string | undefined
  readonly shortcut?: string
}

const typingPauseMs = 250

/** One line of text that filters something: it takes effect when the person pauses. */
export function FilterField(props: FieldProps) {
  const { label, value, onChange, placeholder = label, icon, suggestions, width = 140, problem } = props
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  useEffect(() => {
    if (text === value) return
    const timer = setTimeout(() => onChange(text), typingPauseMs)
    return () => clearTimeout(timer)
  }, [text])
  const list = suggestions && `list-${label.replace(/\W/g, '')}`
  return (
    <label className={styles.field} style={{ width }} data-problem={problem !== undefined || undefined} title={problem}>
      {icon && <Icon name={icon} size={14} />}
      <span className="visually-hidden">{label}</span>
      <input
        type="text"
        value={text}
        placeholder={placeholder}
        list={list}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={problem !== undefined}
        data-shortcut={props.shortcut}
        onChange={event => setText(event.target.value)}
        onKeyDown={event => event.key === 'Enter' && onChange(text)}
      />
      {text !== '' && (
        <button type="button" aria-label={`Clear ${label}`} onClick={() => onChange('')}>
          <Icon name="close" size={12} />
        </button>
      )}
      {list !== undefined && (
        <datalist id={list}>
          {suggestions?.map(each => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
    </label>
  )
}

interface SelectProps {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly options: readonly (readonly [value: string, text: string])[]
}

export function Select({ label, value, onChange, options }: SelectProps) {
  return (
    <label className={styles.field} data-select>
      <span className="visually-hidden">{label}</span>
      <select value={value} onChange={event => onChange(event.target.value)}>
        {options.map(([each, text]) => (
          <option key={each} value={each}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

/** A labelled input of a form. */
export function FormRow({ label, hint, children }: { label: string; hint?: ReactNode; children: ReactNode }) {
  return (
    <label className={styles.row}>
      <span className={styles.label}>{label}</span>
      {children}
      {hint !== undefined && <span className={styles.hint}>{hint}</span>}
    </label>
  )
}
