import { useState } from 'react'
import type { CloudEvent } from '../../../../src/event.ts'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { FormRow } from '../../ui/field.tsx'
import { Id } from '../../ui/id.tsx'
import { JsonDiff } from '../../ui/json-diff.tsx'
import { JsonField } from '../../ui/schema-form.tsx'
import { publisherName, toneOfType } from '../event/family.ts'
import styles from './input-editor.module.css'

/** Fields that hold what a person would change: a question, the result of a tool, the text of a model. */
const mainFields = ['input', 'message', 'output', 'text', 'prompt'] as const

interface InputEditorProps {
  readonly event: CloudEvent
  /** Other data for the event; undefined: its own. */
  readonly onChange: (data: unknown) => void
}

/** The data of an input of a turn: its main text, or all of it as JSON. What was changed is shown below. */
export function InputEditor({ event, onChange }: InputEditorProps) {
  const { id, type, source } = event
  const field = mainFieldOf(event.data)
  const [asJson, setAsJson] = useState(field === undefined)
  const [data, setData] = useState(event.data)
  const [undone, setUndone] = useState(0)
  const isChanged = JSON.stringify(data) !== JSON.stringify(event.data)
  const change = (changed: unknown) => {
    setData(changed)
    onChange(JSON.stringify(changed) === JSON.stringify(event.data) ? undefined : changed)
  }
  const isCut = (event.data as { truncated?: unknown } | null)?.truncated === true
  return (
    <section className={styles.input} aria-label={type}>
      <header>
        <Badge tone={toneOfType(type)}>{type}</Badge>
        <span>{publisherName(source)}</span>
        <Id id={id} />
        {isChanged && (
          <Button
            look="quiet"
            onClick={() => {
              change(event.data)
              setUndone(undone + 1)
            }}
          >
            Undo
          </Button>
        )}
        {field !== undefined && !isCut && (
          <Button look="quiet" pressed={asJson} onClick={() => setAsJson(!asJson)}>
            JSON
          </Button>
        )}
      </header>
      {isCut ? (
        <p>It is too large to be edited here. A fork takes it as it is.</p>
      ) : asJson || field === undefined ? (
        <JsonField key={undone} label="Data" value={data} onChange={change} />
      ) : (
        <FormRow label={field === '' ? 'Text' : field}>
          <textarea
            dir="auto"
            className={styles.text}
            value={textIn(data, field)}
            onChange={({ target }) =>
              change(field === '' ? target.value : { ...(data as object), [field]: target.value })
            }
          />
        </FormRow>
      )}
      {isChanged && <JsonDiff before={event.data} after={data} />}
    </section>
  )
}

/** The name of the text field; empty if the data is a text itself. */
function mainFieldOf(data: unknown): string | undefined {
  if (typeof data === 'string') return ''
  if (typeof data !== 'object' || data === null) return undefined
  return mainFields.find(name => typeof (data as Record<string, unknown>)[name] === 'string')
}

const textIn = (data: unknown, field: string): string =>
  String(field === '' ? data : (data as Record<string, unknown> | null)?.[field])
