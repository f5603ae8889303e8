import { useMutation, useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import type { CloudEvent } from '../../../../src/event.ts'
import { shortId } from '../../../../src/trace/short-id.ts'
import { get, post } from '../../api/connection.ts'
import type { OperationView } from '../../api/operations.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { notify } from '../../ui/toasts.tsx'
import { EffectFields, type Effects } from './effect-fields.tsx'
import type { ForkTurn } from './open-dialog.ts'
import { InputEditor } from './input-editor.tsx'
import styles from './operations.module.css'

interface ForkDialogProps extends ForkTurn {
  readonly onClose: () => void
}

/** Forks a task from one of its turns, with its inputs as they are or changed, and goes to what comes of it. */
export const ForkDialog = ({ task, turn, onClose }: ForkDialogProps) => (
  <Dialog open wide onClose={onClose} title={`Fork task ${shortId(task)} from turn ${turn}`}>
    <ForkForm task={task} turn={turn} onClose={onClose} />
  </Dialog>
)

interface TurnPage {
  readonly turns: readonly { readonly version: number; readonly inputs: readonly CloudEvent[] }[]
}

function ForkForm({ task, turn, onClose }: ForkDialogProps) {
  const navigate = useNavigate()
  const [edits, setEdits] = useState<Readonly<Record<string, unknown>>>({})
  const [reissue, setReissue] = useState(false)
  const [effects, setEffects] = useState<Effects>({ 'model/*': 'live' })
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['turn', task, turn],
    queryFn: ({ signal }) =>
      get<TurnPage>(`tasks/${encodeURIComponent(task)}/turns`, { after: turn - 1, limit: 1 }, signal),
    staleTime: Infinity,
  })
  const forked = useMutation({
    mutationFn: () =>
      post<OperationView>(
        'operations',
        { action: 'fork', task, turn, edits, reissue, effects },
        { 'idempotency-key': crypto.randomUUID(), prefer: 'wait=30' },
      ),
    onSuccess(operation) {
      const started = operation.result?.started?.[0]
      if (started) {
        onClose()
        notify(`Forked from turn ${turn}`, 'This is the trace of the new task.')
        void navigate({ to: '/traces/$correlation', params: { correlation: started.correlation } })
      } else if (operation.status === 'requested')
        void navigate({ to: '/operations/$id', params: { id: operation.operation } })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    forked.mutate()
  }
  if (isPending) return <Loading what="the turn" />
  if (error) return <Failure error={error} retry={() => void refetch()} />
  const inputs = data.turns[0]?.inputs ?? []
  const edited = Object.keys(edits).length
  const refused = forked.data?.error
  return (
    <form onSubmit={submit} className={styles.form}>
      <p className={styles.about}>
        A new task starts with {turn === 1 ? 'the event that started this one' : `turns 1 to ${turn - 1} as recorded`}.
        Today’s code decides from turn {turn} on, with the inputs below. Instructions are part of the code of an agent:
        change them there, and fork again. The original stays as it is.
      </p>
      {inputs.length === 0 && (
        <p className={styles.about}>The turn has no inputs yet: the fork continues what is open.</p>
      )}
      {inputs.map(input => (
        <InputEditor
          key={input.id}
          event={input}
          onChange={data => setEdits(before => withEdit(before, input.id, data))}
        />
      ))}
      <EffectFields value={effects} onChange={setEffects} />
      <label className={styles.check}>
        <input type="checkbox" checked={reissue} onChange={event => setReissue(event.target.checked)} />
        Repeat all calls that were open before this turn, also those whose answers are known
      </label>
      {forked.error && <Failure error={forked.error} />}
      {refused && <Failure error={new Error(refused.message)} />}
      <div className={styles.buttons}>
        <Button onClick={onClose}>Keep as it is</Button>
        <Button type="submit" look="primary" disabled={forked.isPending}>
          <Icon name="fork" />
          {edited === 0 ? 'Fork' : `Fork with ${edited} changed ${edited === 1 ? 'input' : 'inputs'}`}
        </Button>
      </div>
    </form>
  )
}

function withEdit(edits: Readonly<Record<string, unknown>>, id: string, data: unknown) {
  const { [id]: _, ...others } = edits
  return data === undefined ? others : { ...others, [id]: data }
}
