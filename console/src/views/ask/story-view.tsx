import { useMemo, useState } from 'react'
import { remove } from '../../api/connection.ts'
import type { Info } from '../../api/shapes.ts'
import { Button } from '../../ui/button.tsx'
import { Icon } from '../../ui/icon.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import { Failure, Loading } from '../../ui/states.tsx'
import { Age } from '../../ui/time.tsx'
import { notifyFailure } from '../../ui/toasts.tsx'
import { AnswerView } from './answer-view.tsx'
import { answerOf, awaitedIn, writtenBy } from './answer.ts'
import { ApprovalCard } from './approval-card.tsx'
import { Progress } from './progress.tsx'
import type { StorySnapshot, Work } from './story.ts'
import { useStory } from './use-story.ts'
import { SourceDialog, useReferences } from './sources.tsx'
import { nameOf, spaced, textOfQuestion, withoutTitle } from './words.ts'
import styles from './story-view.module.css'

/** A question and what became of it, while it happens and after it. */
export function StoryView({ correlation, info }: { correlation: string; info: Info | undefined }) {
  const { story, error } = useStory(correlation)
  if (error !== undefined) return <Failure error={error} retry={() => location.reload()} />
  if (!story?.question) return <Loading what="your question" />
  return <Shown story={story} info={info} />
}

function Shown({ story, info }: { story: StorySnapshot; info: Info | undefined }) {
  const awaited = useMemo(() => awaitedIn(story, info), [story, info])
  const asked = useMemo(() => openApprovals(story.work), [story])
  const { question, roots } = story
  const text = textOfQuestion(question!)
  const isOver =
    roots.length > 0 &&
    awaited.length === 0 &&
    roots.every(({ state }) => state !== 'running') &&
    story.work.every(({ state }) => state !== 'running')
  const answer = useMemo(() => answerOf(story, isOver), [story, isOver])
  return (
    <article className={styles.story} aria-busy={!isOver}>
      <h1 className={styles.question} dir="auto">
        {text}
      </h1>
      <p className={styles.received} role="status">
        <Icon name="check" size={14} />
        <span>
          Received <Age since={question!.time} />.{!isOver && ' You can close this page and come back.'}
        </span>
      </p>
      <Progress story={story} isOver={isOver} isAsking={asked.length > 0} awaited={awaited}>
        {!isOver && <Cancel story={story} />}
      </Progress>
      {asked.map(work => (
        <ApprovalCard key={work.id} work={work} question={text} found={story.found} mayAnswer={mayApprove(info)} />
      ))}
      {!answer && asked.length === 0 && !isOver && <Draft story={story} question={text} />}
      {answer && <AnswerView answer={answer} question={text} found={story.found} />}
    </article>
  )
}

/** What an agent writes on the way to the answer. */
function Draft({ story: { work, found }, question }: { story: StorySnapshot; question: string }) {
  const { reference, opened, open } = useReferences([], found)
  const writer = work.findLast(each => writtenBy(each) !== '')
  if (!writer) return null
  const isWriting = writer.state === 'running'
  return (
    <section className={styles.draft} aria-label="Draft" aria-busy={isWriting}>
      <h2>{isWriting ? `${nameOf(writer)} is writing` : `Draft of the ${spaced(writer.name)}`}</h2>
      <Markdown text={withoutTitle(writtenBy(writer), question)} reference={reference} isGrowing={isWriting} />
      <SourceDialog source={opened} onClose={() => open(undefined)} />
    </section>
  )
}

/** Cancels all tasks of the question that still run. */
function Cancel({ story }: { story: StorySnapshot }) {
  const [isSent, setIsSent] = useState(false)
  const running = story.roots.filter(({ state }) => state === 'running')
  const cancel = async () => {
    setIsSent(true)
    const reason = { reason: 'cancelled by the person who asked' }
    try {
      await Promise.all(running.map(({ task }) => remove(`tasks/${encodeURIComponent(task)}`, reason)))
    } catch (error) {
      notifyFailure(error)
      setIsSent(false)
    }
  }
  return (
    <Button look="quiet" disabled={isSent || running.length === 0} onClick={() => void cancel()}>
      <Icon name="cancel" size={14} />
      {isSent ? 'Cancelling …' : 'Cancel'}
    </Button>
  )
}

/** Without a name, nobody's answer counts. */
const mayApprove = (info: Info | undefined) =>
  info === undefined || (info.principal.rights.approve && info.principal.user !== undefined)

/** Requests to people that wait for an answer, wherever they were made. */
const openApprovals = (work: readonly Work[]): Work[] =>
  work.flatMap(each => [
    ...(each.kind === 'approval' && each.state === 'running' ? [each] : []),
    ...openApprovals(each.parts),
  ])
