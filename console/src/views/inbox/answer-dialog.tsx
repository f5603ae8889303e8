import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import type { OpenApproval } from '../../../../src/tasks/approval-list.ts'
import { post } from '../../api/connection.ts'
import { approvalsQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { FormRow } from '../../ui/field.tsx'
import { countFull } from '../../ui/format.ts'
import { Icon } from '../../ui/icon.tsx'
import { initialValue, SchemaForm } from '../../ui/schema-form.tsx'
import { notify, notifyFailure } from '../../ui/toasts.tsx'
import { answeredHere } from './answer-notices.ts'
import { summarizeMatter } from './matter.ts'
import styles from './inbox.module.css'

export interface Decision {
  readonly answer: 'grant' | 'deny'
  readonly requests: readonly OpenApproval[]
}

interface AnswerDialogProps {
  readonly decision: Decision
  readonly onAnswered: (ids: ReadonlySet<string>) => void
  readonly onClose: () => void
}

const maxShown = 20

/** Asks once more, for a comment too, and answers. Enter confirms. */
export function AnswerDialog({ decision: { answer, requests }, onAnswered, onClose }: AnswerDialogProps) {
  const client = useQueryClient()
  const [comment, setComment] = useState('')
  const form = answer === 'grant' && requests.length === 1 ? requests[0]!.form : undefined
  const [content, setContent] = useState<unknown>(() => form && initialValue(form))
  const [busy, setBusy] = useState(false)
  const [verb, done] = answer === 'grant' ? ['Approve', 'Approved'] : ['Deny', 'Denied']
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    const answered = new Set<string>()
    for (const { id, hash } of requests) {
      answeredHere.add(id)
      const said = { ...(comment.trim() !== '' && { comment: comment.trim() }), ...(form && { content }) }
      const body = { decision: answer, hash, ...said }
      await post(`approvals/${encodeURIComponent(id)}`, body).then(
        () => answered.add(id),
        error => {
          answeredHere.delete(id)
          notifyFailure(error)
        },
      )
    }
    if (answered.size > 0) notify(`${done} ${nameOf(requests.filter(({ id }) => answered.has(id)))}`)
    await client.invalidateQueries({ queryKey: approvalsQuery.queryKey })
    onAnswered(answered)
  }
  return (
    <Dialog open onClose={onClose} title={`${verb} ${nameOf(requests)}`}>
      <form onSubmit={event => void submit(event)} className={styles.form}>
        <ul className={styles.answered}>
          {requests.slice(0, maxShown).map(({ id, name, what }) => (
            <li key={id}>
              <strong>{name}</strong>
              <span title={summarizeMatter(what)} dir="auto">
                {summarizeMatter(what)}
              </span>
            </li>
          ))}
          {requests.length > maxShown && <li>and {countFull(requests.length - maxShown)} more</li>}
        </ul>
        {form && <SchemaForm schema={form} value={content} onChange={setContent} />}
        <FormRow label="Comment (optional)">
          <input autoFocus maxLength={10_000} value={comment} onChange={event => setComment(event.target.value)} />
        </FormRow>
        <div className={styles.buttons}>
          <Button onClick={onClose}>Decide later</Button>
          <Button type="submit" look={answer === 'grant' ? 'primary' : 'danger'} disabled={busy}>
            <Icon name={answer === 'grant' ? 'check' : 'close'} />
            {requests.length === 1 ? verb : `${verb} ${countFull(requests.length)}`}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

const nameOf = (requests: readonly OpenApproval[]) =>
  requests.length === 1 ? requests[0]!.name : `${countFull(requests.length)} requests`
