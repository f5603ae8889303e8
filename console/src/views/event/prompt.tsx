import { useState } from 'react'
import { preview, usageText } from '../../../../src/trace/text.ts'
import type { ModelQuestion } from '../../../../src/trace/reasons.ts'
import { Icon } from '../../ui/icon.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import styles from './why.module.css'

/** What a model was asked: its instructions, its settings, and the messages that were new. */
export function Prompt({ question, isOpen: isOpenAtFirst }: { question: ModelQuestion; isOpen: boolean }) {
  const { model, instructions, settings, messages, spent } = question
  const [isOpen, setOpen] = useState(isOpenAtFirst)
  const usage = spent ? usageText(spent) : ['no answer yet']
  return (
    <div className={styles.prompt}>
      <button type="button" className={styles.promptHead} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon name={isOpen ? 'down' : 'right'} size={12} />
        <b>{model}</b>
        {usage.length > 0 && <span>{usage.join(', ')}</span>}
        {settings && <span title={JSON.stringify(settings)}>{preview(settings)}</span>}
      </button>
      {isOpen && (
        <dl className={styles.messages}>
          {instructions !== undefined && (
            <div>
              <dt>instructions</dt>
              <dd dir="auto">{instructions}</dd>
            </div>
          )}
          {messages.map(({ role, event, content }, i) => (
            <div key={event ?? i} data-role={role}>
              <dt>{role}</dt>
              <dd dir="auto">{contentOf(content)}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  )
}

function contentOf(content: unknown) {
  if (content === undefined) return <i>no longer on the log</i>
  if (typeof content === 'string') return content
  return <JsonView value={content} />
}
