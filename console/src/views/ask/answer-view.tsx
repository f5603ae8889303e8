import { useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import { capitalized, spaced, withoutTitle } from './words.ts'
import type { Answer, Source } from './answer.ts'
import { Sources, SourceDialog, useReferences } from './sources.tsx'
import type { Found } from './story.ts'
import styles from './answer-view.module.css'

/** The answer, or as much of it as is written. */
export function AnswerView({
  answer,
  ...context
}: {
  answer: Answer
  /** It stands above the answer, which need not repeat it. */
  question: string
  found: ReadonlyMap<string, Found>
}) {
  if (answer.kind === 'problem')
    return (
      <section className={styles.problem} role="alert" aria-label="Answer">
        <h2>{capitalized(spaced(answer.what))}</h2>
        <p>{answer.problem.message}</p>
        <code>{answer.problem.code}</code>
      </section>
    )
  if (answer.kind === 'value')
    return (
      <section className={styles.answer} aria-label="Answer">
        <JsonView value={answer.value} label="Answer" />
      </section>
    )
  return <TextAnswer {...answer} {...context} />
}

function TextAnswer({
  markdown,
  sources,
  isComplete,
  question,
  found,
}: Extract<Answer, { kind: 'text' }> & { question: string; found: ReadonlyMap<string, Found> }) {
  const { reference, opened, open } = useReferences(sources, found)
  return (
    <section className={styles.answer} aria-label="Answer" aria-live="polite" aria-busy={!isComplete}>
      <h2 className="visually-hidden">Answer</h2>
      <Markdown text={withoutRepetition(markdown, question, sources)} reference={reference} isGrowing={!isComplete} />
      {sources.length > 0 && <Sources sources={sources} onOpen={open} />}
      {isComplete && <Copy text={markdown} />}
      <SourceDialog source={opened} onClose={() => open(undefined)} />
    </section>
  )
}

/** Without a title that is the question, and without a list of sources where one follows. */
function withoutRepetition(markdown: string, question: string, sources: readonly Source[]): string {
  const text = withoutTitle(markdown, question)
  const isListed = sources.some(({ number }) => number !== undefined)
  return isListed ? text.replace(/^#+ Sources\s*\n[^]*?(?=^(?:#|---)|(?![^]))/m, '') : text
}

function Copy({ text }: { text: string }) {
  const [isCopied, setIsCopied] = useState(false)
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setIsCopied(true)
    setTimeout(() => setIsCopied(false), 1_500)
  }
  return (
    <div className={styles.actions}>
      <Button look="quiet" onClick={() => void copy()}>
        <Icon name={isCopied ? 'check' : 'copy'} size={14} />
        {isCopied ? 'Copied' : 'Copy as Markdown'}
      </Button>
    </div>
  )
}
