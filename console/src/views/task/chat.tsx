import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { CloudEvent } from '../../../../src/event.ts'
import { isFork } from '../../../../src/tasks/fork.ts'
import { endOf, type ModelResult } from '../../../../src/tasks/conversation.ts'
import { problemOf } from '../../../../src/trace/outcome.ts'
import type { TextPiece } from '../../../../src/tasks/text-delta.ts'
import { isTruncated } from '../../api/task-shapes.ts'
import { Badge, Dot, type Tone } from '../../ui/badge.tsx'
import { costText, countFull } from '../../ui/format.ts'
import { Icon, type IconName } from '../../ui/icon.tsx'
import { Time } from '../../ui/time.tsx'
import { publisherName, toneOfType } from '../event/family.ts'
import { CallItem } from './call-item.tsx'
import { refusedCalls, textOf, type ChatItem } from './conversation.ts'
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

interface BubbleProps {
  readonly tone: Tone
  readonly icon: IconName
  readonly name: ReactNode
  readonly about?: ReactNode
  readonly at?: string
  readonly mine?: boolean
  readonly children: ReactNode
}

function Bubble({ tone, icon, name, about, at, mine = false, children }: BubbleProps) {
  return (
    <article className={styles.bubble} data-mine={mine || undefined} style={{ '--tone': `var(--${tone})` } as object}>
      <header className={styles.head}>
        <span className={styles.avatar}>
          <Icon name={icon} size={13} />
        </span>
        <span className={styles.name}>{name}</span>
        <span className={styles.quiet}>{about}</span>
        {at !== undefined && (
          <span className={styles.at}>
            <Time at={at} />
          </span>
        )}
      </header>
      {children}
    </article>
  )
}

function Message({ event, content }: { event: CloudEvent; content: unknown }) {
  const { type, source, user, time } = event
  const isAsked = type === 'agent.invoke' || type === 'agent.message'
  const text = textOf(content)
  return (
    <Bubble
      tone={isAsked ? 'accent' : toneOfType(type)}
      icon={isAsked ? 'user' : 'live'}
      name={user ?? publisherName(source).replace(/^\//, '')}
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

function Answer({ event, result, program }: { event: CloudEvent; result: ModelResult; program: string }) {
  // A stub in a test, or data that is too large, may lack fields.
  const { text, reasoning, usage, cost, model } = result ?? {}
  const end = typeof result?.finish === 'string' ? endOf(result) : 'whole'
  const calls = result?.toolCalls?.length ?? 0
  return (
    <Bubble
      tone="agent"
      icon="ask"
      name={program}
      about={
        <>
          {model ?? publisherName(event.source)}
          {usage && ` · ${countFull(usage.input)} in, ${countFull(usage.output)} out`}
          {cost !== undefined && ` · ${costText(cost)}`}
          {text === '' && calls > 0 && ` · calls ${result.toolCalls.map(({ toolName }) => toolName).join(', ')}`}
        </>
      }
      at={event.time}
    >
      {reasoning !== undefined && reasoning !== '' && <Reasoning text={reasoning} />}
      {typeof text === 'string' && text !== '' && (
        <p className={styles.text} dir="auto">
          {text}
        </p>
      )}
      {typeof text !== 'string' && <DataView value={event.data} label="Answer" />}
      {refusedCalls(result ?? {}).map(call => (
        <p key={call.toolCallId} className={styles.problem}>
          The arguments for {call.toolName} are not JSON: {call.malformed}
        </p>
      ))}
      {end !== 'whole' && !(end === 'empty' && calls > 0) && <Badge tone="waiting">{end}</Badge>}
    </Bubble>
  )
}

function Reasoning({ text }: { text: string }) {
  return (
    <details className={styles.reasoning}>
      <summary>Reasoning</summary>
      <p className={styles.text} dir="auto">
        {text}
      </p>
    </details>
  )
}

/** An answer that is being generated. */
export function LiveAnswer({ program, model, parts }: { program: string; model: string; parts: readonly TextPiece[] }) {
  return (
    <div className={styles.turn}>
      <Bubble
        tone="agent"
        icon="ask"
        name={program}
        about={`${model} ${parts.length === 0 ? 'was asked' : 'is writing'}`}
      >
        {parts.map(({ part, kind, text, toolName }) =>
          kind === 'text' ? (
            <p key={part} className={styles.text} dir="auto">
              {text}
              <span className={styles.caret} />
            </p>
          ) : (
            <p key={part} className={styles.quiet}>
              {kind === 'reasoning' ? text : `${toolName ?? 'tool'} ${text}`}
            </p>
          ),
        )}
        {parts.length === 0 && <span className={styles.caret} />}
      </Bubble>
    </div>
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
          <span className={styles.callHint} />
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
      {problem === undefined && text !== undefined && !isAnswer && (
        <p className={styles.text} dir="auto">
          {text}
        </p>
      )}
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
