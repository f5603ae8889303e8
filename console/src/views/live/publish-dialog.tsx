import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { post } from '../../api/connection.ts'
import { infoQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { FormRow } from '../../ui/field.tsx'
import { initialValue, SchemaForm } from '../../ui/schema-form.tsx'
import { notify, notifyFailure } from '../../ui/toasts.tsx'
import { useUrlState } from '../../shell/url-state.ts'

/** Publishes an event, from a form made of its schema. */
export function PublishDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Publish an event">
      {open && <PublishForm onClose={onClose} />}
    </Dialog>
  )
}

function PublishForm({ onClose }: { onClose: () => void }) {
  const { data: info } = useQuery(infoQuery)
  const [params] = useUrlState()
  const [type, setType] = useState(params.type?.includes('*') === false ? params.type : '')
  const schema = info?.types.find(each => each.type === type)?.schema
  const [data, setData] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const shown = data === undefined && schema ? initialValue(schema) : data
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      const { id } = await post<{ id: string }>(
        'events',
        { type, data: shown ?? null },
        { 'idempotency-key': crypto.randomUUID() },
      )
      notify(`Published ${type}`, id)
      onClose()
    } catch (error) {
      notifyFailure(error)
    }
    setBusy(false)
  }
  return (
    <form onSubmit={event => void submit(event)} style={{ display: 'contents' }}>
      <FormRow label="Type" hint="Two or more lower-case words with dots between them.">
        <input
          required
          autoFocus
          list="declared-types"
          value={type}
          onChange={event => {
            setType(event.target.value)
            setData(undefined)
          }}
        />
      </FormRow>
      <datalist id="declared-types">
        {info?.types.map(each => (
          <option key={each.type} value={each.type} />
        ))}
      </datalist>
      <SchemaForm schema={schema} value={shown} onChange={setData} />
      <Button type="submit" look="primary" disabled={busy}>
        Publish
      </Button>
    </form>
  )
}
