import { useState } from 'react'
import { FormRow } from '../../ui/field.tsx'
import styles from './operations.module.css'

/** What tools, models and approvers may do in a fork or a redrive: docs/replay.md. */
export type Effects = Record<string, 'live' | 'recorded' | 'deny'>

const choices = [
  ['model/*', 'Models', { deny: 'Only read-only ones', live: 'Ask them', recorded: 'Recorded answers' }],
  ['tool/*', 'Tools', { deny: 'Only read-only ones', recorded: 'Recorded results', live: 'Run them' }],
  ['approval/*', 'Approvals', { deny: 'Denied', recorded: 'As recorded' }],
] as const

interface EffectFieldsProps {
  readonly value: Effects
  readonly onChange: (effects: Effects) => void
}

export function EffectFields({ value, onChange }: EffectFieldsProps) {
  const [exceptions, setExceptions] = useState('')
  const general = Object.fromEntries(Object.entries(value).filter(([name]) => name.endsWith('/*')))
  const problem = problemIn(exceptions)
  return (
    <fieldset className={styles.effects}>
      <legend>What may have effects</legend>
      {choices.map(([name, label, options]) => (
        <FormRow key={name} label={label}>
          <select
            value={value[name] ?? 'deny'}
            onChange={event => onChange({ ...value, [name]: event.target.value as 'live' })}
          >
            {Object.entries(options).map(([effect, text]) => (
              <option key={effect} value={effect}>
                {text}
              </option>
            ))}
          </select>
        </FormRow>
      ))}
      <FormRow label="Exceptions" hint={problem}>
        <input
          placeholder="tool/mail.send=live, approval/editor=live"
          value={exceptions}
          spellCheck={false}
          aria-invalid={problem !== undefined}
          ref={element => element?.setCustomValidity(problem ?? '')}
          onChange={event => {
            setExceptions(event.target.value)
            if (problemIn(event.target.value) === undefined) onChange({ ...general, ...rulesIn(event.target.value) })
          }}
        />
      </FormRow>
    </fieldset>
  )
}

const rule = /^(?:tool|model|step|approval)\/[^=\s]+\s*=\s*(?:live|recorded|deny)$/
const rulesOf = (text: string) => text.split(',').flatMap(each => (each.trim() === '' ? [] : [each.trim()]))
const rulesIn = (text: string): Effects =>
  Object.fromEntries(rulesOf(text).map(each => each.split(/\s*=\s*/) as [string, Effects[string]]))

function problemIn(text: string): string | undefined {
  const wrong = rulesOf(text).find(each => !rule.test(each))
  return wrong === undefined
    ? undefined
    : `"${wrong}" is not a rule: write tool/NAME, model/NAME, step/AGENT or approval/NAME, then =live, =recorded or =deny`
}
