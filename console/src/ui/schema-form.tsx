import { useState } from 'react'
import type { JsonSchema } from '../api/shapes.ts'
import { FormRow } from './field.tsx'
import styles from './schema-form.module.css'

interface SchemaFormProps {
  /** JSON Schema of the value; without one, the value is written as JSON. */
  readonly schema: JsonSchema | undefined
  readonly value: unknown
  readonly onChange: (value: unknown) => void
}

/** A form for a value: a control for each field of an object, and JSON for what no control fits. */
export function SchemaForm({ schema, value, onChange }: SchemaFormProps) {
  const properties =
    schema?.type === 'object' ? (schema.properties as Record<string, JsonSchema> | undefined) : undefined
  if (!properties) return <ValueField name="Data" schema={schema ?? {}} value={value} required onChange={onChange} />
  const fields = value as Record<string, unknown> | undefined
  const required = new Set(schema!.required as string[] | undefined)
  return Object.entries(properties).map(([name, each]) => (
    <ValueField
      key={name}
      name={name}
      schema={each}
      value={fields?.[name]}
      required={required.has(name)}
      onChange={changed => onChange({ ...fields, [name]: changed })}
    />
  ))
}

interface ValueFieldProps extends SchemaFormProps {
  readonly name: string
  readonly schema: JsonSchema
  readonly required: boolean
}

function ValueField({ name, schema, value, required, onChange }: ValueFieldProps) {
  const label = required ? name : `${name} (optional)`
  const { description } = schema
  const hint = typeof description === 'string' ? { hint: description } : {}
  if (Array.isArray(schema.enum))
    return (
      <FormRow label={label} {...hint}>
        <select value={JSON.stringify(value)} onChange={event => onChange(parsed(event.target.value))}>
          {!required && <option value="" />}
          {schema.enum.map(each => (
            <option key={String(each)} value={JSON.stringify(each)}>
              {String(each)}
            </option>
          ))}
        </select>
      </FormRow>
    )
  if (schema.type === 'boolean')
    return (
      <label className={styles.check}>
        <input type="checkbox" checked={value === true} onChange={event => onChange(event.target.checked)} />
        {name}
      </label>
    )
  if (schema.type === 'number' || schema.type === 'integer')
    return (
      <FormRow label={label} {...hint}>
        <input
          type="number"
          step={schema.type === 'integer' ? 1 : 'any'}
          required={required}
          value={typeof value === 'number' ? value : ''}
          onChange={event => onChange(event.target.value === '' ? undefined : event.target.valueAsNumber)}
        />
      </FormRow>
    )
  if (schema.type === 'string')
    return (
      <FormRow label={label} {...hint}>
        <input
          type="text"
          required={required}
          value={typeof value === 'string' ? value : ''}
          onChange={event => onChange(event.target.value === '' && !required ? undefined : event.target.value)}
        />
      </FormRow>
    )
  return <JsonField label={label} value={value} onChange={onChange} {...hint} />
}

/** Any value, as JSON. */
export function JsonField({
  label,
  hint,
  value,
  onChange,
}: {
  label: string
  hint?: string
  value: unknown
  onChange: (value: unknown) => void
}) {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, undefined, 2)))
  const [problem, setProblem] = useState<string>()
  const change = (changed: string) => {
    setText(changed)
    try {
      onChange(changed.trim() === '' ? undefined : JSON.parse(changed))
      setProblem(undefined)
    } catch (error) {
      setProblem((error as Error).message)
    }
  }
  return (
    <FormRow
      label={`${label}, as JSON`}
      hint={problem === undefined ? hint : <span className={styles.problem}>{problem}</span>}
    >
      <textarea
        value={text}
        spellCheck={false}
        aria-invalid={problem !== undefined}
        ref={element => element?.setCustomValidity(problem ?? '')}
        onChange={event => change(event.target.value)}
      />
    </FormRow>
  )
}

/** A value to begin with: what the schema says by default, an empty value of its type otherwise. */
export function initialValue(schema: JsonSchema): unknown {
  if ('default' in schema) return schema.default
  if (Array.isArray(schema.enum)) return schema.enum[0]
  if (schema.type === 'string') return ''
  if (schema.type === 'boolean') return false
  if (schema.type === 'array') return []
  if (schema.type !== 'object') return undefined
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)
  const required = new Set(schema.required as string[] | undefined)
  return Object.fromEntries(
    properties.filter(([name]) => required.has(name)).map(([name, each]) => [name, initialValue(each)]),
  )
}

const parsed = (text: string): unknown => (text === '' ? undefined : JSON.parse(text))
