import type { CloudEvent } from '../../../../src/event.ts'
import { endOf, type ModelResult } from '../../../../src/tasks/conversation.ts'
import type { TextPiece } from '../../../../src/tasks/text-delta.ts'
import { Badge } from '../../ui/badge.tsx'
import { costText, countFull } from '../../ui/format.ts'
import { JsonView } from '../../ui/json-view.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import { publisherName } from '../event/family.ts'
import { Bubble } from './bubble.tsx'
import { refusedCalls } from './conversation.ts'
import { DataView } from './data-view.tsx'
import styles from './chat.module.css'

/** What a model answered. */
export function Answer({ event, result, program }: { event: CloudEvent; result: ModelResult; program: string }) {
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
      {typeof text === 'string' && text !== '' && <ModelText text={text} />}
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
            <ModelText key={part} text={text} isGrowing />
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

/** A text of a model: Markdown, or JSON if it was asked for that. */
export function ModelText({ text, isGrowing = false }: { text: string; isGrowing?: boolean }) {
  const json = isGrowing ? undefined : jsonIn(text)
  if (json !== undefined) return <JsonView value={json} label="Answer" />
  return (
    <div className={styles.prose}>
      <Markdown text={text} isGrowing={isGrowing} />
    </div>
  )
}

function jsonIn(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
