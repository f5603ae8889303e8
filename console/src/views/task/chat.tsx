import { Link } from '@tanstack/react-router'
import type { CloudEvent } from '../../../../src/event.ts'
import { isFork } from '../../../../src/tasks/fork.ts'
import { problemOf } from '../../../../src/trace/outcome.ts'
import { preview } from '../../../../src/trace/text.ts'
import { isTruncated } from '../../api/task-shapes.ts'
import { Dot } from '../../ui/badge.tsx'
import { bytesText } from '../../ui/format.ts'
import { publisherName, toneOfType } from '../event/family.ts'
import { Answer, ModelText } from './answer-item.tsx'
import { Bubble } from './bubble.tsx'
import { CallItem } from './call-item.tsx'
import { textOf, type ChatItem } from './conversation.ts'
import { DataView } from './data-view.tsx'
import { Disclosure } from './disclosure.tsx'
import styles from './chat.module.css'

/** What one turn adds to the conversation. */
export function ChatTurn({ items, program, ended }: { items: readonly ChatItem[]; program: string; ended: boolean }) {
  return (
    <div className={styles.turn}>
      {items.map((item, index) => (
        <Item key={index} item={item} program={program} ended={ended} />
      ))}
    </div>
  )
}

function Item({ item, program, ended }: { item: ChatItem; program: string; ended: boolean }) {
  switch (item.kind) {
    case 'message':
      return <Message {...item} />
    case 'prompt':
      return <Prompt event={item.event} />
    case 'answer':
      return <Answer event={item.event} result={item.result} program={program} />
    case 'call':
      return <CallItem item={item} ended={ended} />
    case 'emitted':
      return <Emitted event={item.event} />
    case 'end':
      return <End event={item.event} isAnswer={item.isAnswer} />
  }
}

function Message({ event, content }: { event: CloudEvent; content: unknown }) {
  const { type, source, user, time } = event
  const isAsked = type === 'agent.invoke' || type === 'agent.message'
  const text = textOf(content)
  return (
    <Bubble
      tone={isAsked ? 'accent' : toneOfType(type)}
      icon={isAsked ? 'user' : 'live'}
      name={user ?? (publisherName(source).replace(/^\//, '') || 'the app')}
      about={isFork(type) ? 'continues an earlier task' : type}
      at={time}
      mine
    >
      {text === undefined ? (
        isFork(type) ? null : (
          <DataView value={content ?? null} label="Message" />
        )
      ) : (
        <p className={styles.text} dir="auto">
          {text}
        </p>
      )}
    </Bubble>
  )
}

function Prompt({ event }: { event: CloudEvent }) {
  const { instructions, message } = (event.data ?? {}) as { instructions?: string; message?: unknown }
  return (
    <Disclosure
      line={
        <>
          <Dot tone="agent" />
          <span className={styles.callName}>Prompt</span>
          <span className={styles.callHint}>{textOf(message) ?? instructions}</span>
        </>
      }
    >
      {() => (
        <>
          {isTruncated(event.data) && <DataView value={event.data} label="Prompt" />}
          {instructions !== undefined && <p className={styles.text}>{instructions}</p>}
          {message !== undefined &&
            (textOf(message) === undefined ? (
              <DataView value={message} label="Prompt" />
            ) : (
              <p className={styles.text} dir="auto">
                {textOf(message)}
              </p>
            ))}
        </>
      )}
    </Disclosure>
  )
}

function Emitted({ event }: { event: CloudEvent }) {
  return (
    <Disclosure
      line={
        <>
          <Dot tone={toneOfType(event.type)} />
          <span className={styles.callName}>
            <span className={styles.callKind}>emitted</span> {event.type}
          </span>
          <span className={styles.callHint}>
            {isTruncated(event.data) ? bytesText(event.data.bytes) : preview(event.data).slice(0, 200)}
          </span>
        </>
      }
    >
      {() => <DataView value={event.data} label={event.type} />}
    </Disclosure>
  )
}

function End({ event, isAnswer }: { event: CloudEvent; isAnswer: boolean }) {
  const { output, error } = (event.data ?? {}) as { output?: unknown; error?: { next?: string; stack?: string } }
  const end = event.type.slice('agent.task.'.length)
  const problem = problemOf(event)
  const text = textOf(output)
  const shown = isTruncated(event.data) ? event.data : output
  return (
    <Bubble
      tone={end === 'completed' ? 'ok' : end === 'failed' ? 'failed' : 'other'}
      icon={end === 'completed' ? 'check' : end === 'failed' ? 'warning' : 'cancel'}
      name={end}
      about={isAnswer && 'with the answer above'}
      at={event.time}
    >
      {problem !== undefined && <p className={styles.problem}>{problem}</p>}
      {error?.next !== undefined && <p className={styles.quiet}>{error.next}</p>}
      {problem === undefined && text !== undefined && !isAnswer && <ModelText text={text} />}
      {problem === undefined && text === undefined && shown !== undefined && shown !== null && (
        <DataView value={shown} label="Output" />
      )}
      {end === 'failed' && (
        <p>
          <Link to="/traces/$correlation" params={{ correlation: event.correlationid }}>
            Why, in the trace
          </Link>
        </p>
      )}
    </Bubble>
  )
}
