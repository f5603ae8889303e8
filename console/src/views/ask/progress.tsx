import { type ReactNode, useState } from 'react'
import { Dot } from '../../ui/badge.tsx'
import { classes } from '../../ui/classes.ts'
import { durationText } from '../../ui/format.ts'
import { Icon, type IconName } from '../../ui/icon.tsx'
import { useNow } from '../../ui/use-now.ts'
import type { StorySnapshot, Work } from './story.ts'
import { aboutOf, capitalized, doing, nameOf, oneLine, resultOf, spaced, textOfQuestion, textsIn } from './words.ts'
import styles from './progress.module.css'

interface ProgressProps {
  readonly story: StorySnapshot
  readonly isOver: boolean
  /** A person is asked something. */
  readonly isAsking: boolean
  /** Agents that have not begun. */
  readonly awaited: readonly string[]
  readonly children: ReactNode
}

/** Who does what, in words. When all is over, one line that opens. */
export function Progress({ story, isOver, isAsking, awaited, children }: ProgressProps) {
  const [isOpen, setIsOpen] = useState<boolean>()
  const now = useNow()
  const { question, work, roots, at } = story
  const began = Date.parse(question!.time)
  const took = durationText(Math.max(0, (isOver ? at : Math.max(now, at)) - began))
  // What a person is asked comes first.
  const isShown = isOpen ?? !(isOver || isAsking)
  const mentioned = [textOfQuestion(question!)]
  const steps = work.filter(({ kind }) => kind !== 'model')
  const title = isOver ? endText(story) : (newest(work, mentioned) ?? waitText(roots.length, awaited))
  return (
    <section className={styles.progress} aria-label="Progress">
      <header className={styles.head}>
        <button
          type="button"
          className={styles.toggle}
          aria-expanded={isShown}
          disabled={steps.length === 0}
          onClick={() => setIsOpen(!isShown)}
        >
          <Mark state={isOver ? (roots.find(({ state }) => state !== 'completed')?.state ?? 'completed') : 'running'} />
          <span className={styles.title} aria-live="polite">
            {title}
          </span>
          <span className={styles.took}>{took}</span>
          {steps.length > 0 && <Icon name={isShown ? 'up' : 'down'} size={14} />}
        </button>
        {children}
      </header>
      {isShown && steps.length > 0 && (
        <ol className={styles.steps}>
          {steps.map(each => (
            <Step key={each.id} work={each} mentioned={mentioned} />
          ))}
        </ol>
      )}
    </section>
  )
}

function Step({ work, mentioned }: { work: Work; mentioned: readonly string[] }) {
  const [isOpen, setIsOpen] = useState(false)
  const { state, parts, kind, delay, input } = work
  const about = kind === 'approval' ? '' : aboutOf(input, mentioned)
  const heard = [...mentioned, ...textsIn(input)]
  const result = state === 'running' ? '' : resultOf(work)
  const activity =
    state === 'running' ? (delay ? `waits: ${delay.message}` : newest(parts, heard, nameOf(work))) : undefined
  const inner = parts.filter(part => part.kind !== 'model' || part.state === 'failed')
  const line = (
    <>
      <Mark state={delay || (kind === 'approval' && state === 'running') ? 'delayed' : state} />
      <span className={styles.name}>{kind === 'agent' ? nameOf(work) : capitalized(doing(work))}</span>
      {about !== '' && (
        <span className={styles.about} title={about} dir="auto">
          “{oneLine(about, 90)}”
        </span>
      )}
      {result !== '' && !heard.includes(result) && (
        <span className={styles.result} title={result} dir="auto">
          {result}
        </span>
      )}
      {work.ended !== undefined && <span className={styles.took}>{durationText(work.ended - work.began)}</span>}
    </>
  )
  return (
    <li className={styles.step} data-state={state}>
      {inner.length > 0 ? (
        <button type="button" className={styles.line} aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          {line}
          <Icon name={isOpen ? 'up' : 'down'} size={12} />
        </button>
      ) : (
        <div className={styles.line}>{line}</div>
      )}
      {activity !== undefined && (
        <p className={styles.activity} title={activity} dir="auto">
          {activity}
        </p>
      )}
      {isOpen && (
        <ol className={styles.inner}>
          {inner.map(part => (
            <Step key={part.id} work={part} mentioned={heard} />
          ))}
        </ol>
      )}
    </li>
  )
}

const marks: Readonly<Record<string, readonly [string, IconName]>> = {
  completed: ['done', 'check'],
  failed: ['failed', 'warning'],
}

function Mark({ state }: { state: string }) {
  if (state === 'running' || state === 'delayed')
    return (
      <span className={styles.mark}>
        <Dot tone={state === 'running' ? 'running' : 'waiting'} pulsing />
      </span>
    )
  const [look, icon] = marks[state] ?? ['cancelled', 'cancel']
  return (
    <span className={classes(styles.mark, styles[look])}>
      <Icon name={icon} size={14} />
    </span>
  )
}

/** `Researcher 2 is searching the library for …`, of what was begun last and still runs. */
function newest(work: readonly Work[], mentioned: readonly string[], who?: string): string | undefined {
  const running = work.findLast(({ state }) => state === 'running')
  if (!running) return undefined
  const { kind, parts, by, input } = running
  if (kind === 'approval') return capitalized(doing(running))
  if (kind === 'agent') return newest(parts, mentioned, nameOf(running)) ?? `${nameOf(running)} begins`
  const about = kind === 'tool' ? aboutOf(input, mentioned) : ''
  return `${who ?? capitalized(spaced(by))} is ${doing(running)}${about === '' ? '' : `: “${oneLine(about, 80)}”`}`
}

function waitText(roots: number, awaited: readonly string[]): string {
  const [first] = awaited
  if (first !== undefined) return `${capitalized(spaced(first))} is about to begin`
  return roots === 0 ? 'Waiting for somebody to take it' : 'Deciding what is next'
}

function endText({ roots }: StorySnapshot): string {
  const ended = roots.find(({ state }) => state !== 'completed')
  if (!ended) return 'Done'
  return ended.state === 'failed' ? `${capitalized(spaced(ended.program))} failed` : 'Cancelled'
}
