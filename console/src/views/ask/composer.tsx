import { type FormEvent, type KeyboardEvent, useRef, useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { initialValue, SchemaForm } from '../../ui/schema-form.tsx'
import { Empty } from '../../ui/states.tsx'
import { notifyFailure } from '../../ui/toasts.tsx'
import { ask } from './asked.ts'
import { takesText, type Target } from './targets.ts'
import styles from './composer.module.css'

interface ComposerProps {
  readonly targets: readonly Target[]
  readonly target: Target | undefined
  readonly onTarget: (key: string) => void
  readonly onAsked: (correlation: string) => void
}

/** Asks: one text where that is all that is needed, else a form made of the schema. */
export function Composer({ targets, target, onTarget, onAsked }: ComposerProps) {
  if (!target)
    return (
      <Empty title="Nothing can be asked here">
        <p>
          This page offers the agents of the app, and the events with a schema that start something. Start an app that
          has one, or ask its operator whether you may publish.
        </p>
      </Empty>
    )
  return (
    <section className={styles.composer}>
      <h1>{target.title}</h1>
      {target.description !== undefined && <p className={styles.about}>{target.description}</p>}
      <Question key={target.key} target={target} onAsked={onAsked}>
        {targets.length > 1 && <Choice targets={targets} target={target} onTarget={onTarget} />}
      </Question>
    </section>
  )
}

function Question({
  target,
  onAsked,
  children,
}: {
  target: Target
  onAsked: (correlation: string) => void
  children: React.ReactNode
}) {
  const isText = takesText(target)
  const [value, setValue] = useState<unknown>(() => (isText ? '' : initialValue(target.schema!)))
  const [isSending, setIsSending] = useState(false)
  // What is sent again after a failure is the same question.
  const key = useRef(crypto.randomUUID())
  const send = async (given: unknown) => {
    setIsSending(true)
    try {
      onAsked(await ask(target, typeof given === 'string' ? given.trim() : given, key.current))
    } catch (error) {
      notifyFailure(error)
      setIsSending(false)
    }
  }
  const change = (changed: unknown) => {
    key.current = crypto.randomUUID()
    setValue(changed)
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    void send(value)
  }
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    event.currentTarget.form?.requestSubmit()
  }
  return (
    <form onSubmit={submit}>
      <div className={styles.card}>
        {isText ? (
          <textarea
            autoFocus
            required
            rows={3}
            dir="auto"
            aria-label="Your question"
            placeholder="Your question"
            value={String(value)}
            onChange={event => change(event.target.value)}
            onKeyDown={onKeyDown}
          />
        ) : (
          <div className={styles.fields}>
            <SchemaForm schema={target.schema} value={value} onChange={change} />
          </div>
        )}
        <div className={styles.foot}>
          {children}
          <span className={styles.space} />
          <Button type="submit" look="primary" className={styles.send} disabled={isSending || value === ''}>
            <Icon name="send" />
            {isSending ? 'Sending …' : 'Ask'}
          </Button>
        </div>
      </div>
      {isText && target.examples.length > 0 && (
        <ul className={styles.examples} aria-label="Examples">
          {target.examples.map(example => (
            <li key={example}>
              <button type="button" disabled={isSending} onClick={() => void send(example)}>
                {example}
              </button>
            </li>
          ))}
        </ul>
      )}
    </form>
  )
}

function Choice({ targets, target, onTarget }: Required<Omit<ComposerProps, 'onAsked'>>) {
  const of = (kind: Target['kind']) => targets.filter(each => each.kind === kind)
  const options = (list: readonly Target[]) =>
    list.map(({ key, title }) => (
      <option key={key} value={key}>
        {title}
      </option>
    ))
  return (
    <select aria-label="Whom to ask" value={target?.key} onChange={event => onTarget(event.target.value)}>
      {of('event').length > 0 && <optgroup label="Start">{options(of('event'))}</optgroup>}
      {of('agent').length > 0 && <optgroup label="Ask an agent">{options(of('agent'))}</optgroup>}
    </select>
  )
}
