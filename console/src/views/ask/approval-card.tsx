import { type FormEvent, useState } from 'react'
import type { ApprovalRequest } from '../../../../src/tasks/approval.ts'
import { post } from '../../api/connection.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import { initialValue, SchemaForm } from '../../ui/schema-form.tsx'
import { Age } from '../../ui/time.tsx'
import { notifyFailure } from '../../ui/toasts.tsx'
import { SourceDialog, useReferences } from './sources.tsx'
import type { Found, Work } from './story.ts'
import { capitalized, spaced, toolIn } from './words.ts'
import styles from './approval-card.module.css'

interface ApprovalCardProps {
  readonly work: Work
  /** It stands above, and need not be repeated. */
  readonly question: string
  readonly found: ReadonlyMap<string, Found>
  readonly mayAnswer: boolean
}

/** What a person is asked to approve, and the answer. */
export function ApprovalCard({ work, question, found, mayAnswer }: ApprovalCardProps) {
  const { id, name, request } = work
  const { what, hash, who, form } = request.data as ApprovalRequest
  const [comment, setComment] = useState('')
  const [content, setContent] = useState<unknown>(() => form && initialValue(form))
  const [sent, setSent] = useState<'grant' | 'deny'>()
  const { reference, opened, open } = useReferences([], found)
  const answer = async (decision: 'grant' | 'deny') => {
    setSent(decision)
    try {
      const said = { ...(comment !== '' && { comment }), ...(form && decision === 'grant' && { content }) }
      await post(`approvals/${encodeURIComponent(id)}`, { decision, hash, ...said })
    } catch (error) {
      notifyFailure(error)
      setSent(undefined)
    }
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void answer('grant')
  }
  const tool = toolIn(what)
  const { input = what } = (what ?? {}) as { input?: unknown }
  // All that a tool gets is shown.
  const fields = fieldsOf(input).filter(([, value]) => tool !== undefined || value !== question)
  return (
    <section className={styles.card} aria-label="Approval">
      <header>
        <Icon name="inbox" />
        <h2>{tool === undefined ? 'May this go ahead?' : `May “${spaced(tool)}” run?`}</h2>
        <span className={styles.who}>
          {tool === undefined && `for the ${spaced(name)}`}
          {who && who.length > 0 && ` (${who.join(', ')})`}
          {request.deadline !== undefined && <>{tool === undefined && ','} expires <Age since={request.deadline} /></>}
        </span>
      </header>
      <div className={styles.what}>
        {fields.map(([field, value]) => (
          <div key={field} className={styles.field}>
            {(fields.length > 1 || tool !== undefined) && <h3>{capitalized(spaced(field))}</h3>}
            {typeof value === 'string' ? <Markdown text={value} reference={reference} /> : <JsonView value={value} label={field} />}
          </div>
        ))}
        {form && mayAnswer && <SchemaForm schema={form} value={content} onChange={setContent} />}
      </div>
      {mayAnswer ? (
        <form className={styles.answer} onSubmit={submit}>
          <input
            type="text"
            aria-label="Comment"
            placeholder="Comment, optional"
            value={comment}
            onChange={event => setComment(event.target.value)}
          />
          <Button look="danger" disabled={sent !== undefined} onClick={() => void answer('deny')}>
            {sent === 'deny' ? 'Declining …' : 'Decline'}
          </Button>
          <Button type="submit" look="primary" disabled={sent !== undefined}>
            <Icon name="check" />
            {sent === 'grant' ? 'Approving …' : 'Approve'}
          </Button>
        </form>
      ) : (
        <p className={styles.waits}>
          It waits for a person who may approve it. Is that you? Open the address that the app printed when it started: it
          contains your key.
        </p>
      )}
      <SourceDialog source={opened} onClose={() => open(undefined)} />
    </section>
  ) // biome-ignore format: short fields stay on one line
}

/** Without what is empty. */
function fieldsOf(input: unknown): [string, unknown][] {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return [['', input]]
  return Object.entries(input).filter(([, value]) => value !== '' && !(Array.isArray(value) && value.length === 0))
}
