import { isRuntimeType } from '../../../../src/bus/admit.ts'
import type { CloudEvent } from '../../../../src/event.ts'
import { promptedType, userContent, type ModelResult } from '../../../../src/tasks/conversation.ts'
import { isTruncated } from '../../api/task-shapes.ts'
import type { TurnDetails } from '../../../../src/trace/details.ts'

/* The turns of a task as a conversation. */

/** What one turn adds to the conversation. */
export type ChatItem =
  /** What started the task, or came to it while it ran. */
  | { readonly kind: 'message'; readonly event: CloudEvent; readonly content: unknown }
  /** The instructions and the first message that the agent made of its input. */
  | { readonly kind: 'prompt'; readonly event: CloudEvent }
  | { readonly kind: 'answer'; readonly event: CloudEvent; readonly result: ModelResult }
  | { readonly kind: 'call'; readonly request: CloudEvent; readonly answer?: CloudEvent; readonly cancelled?: true }
  | { readonly kind: 'emitted'; readonly event: CloudEvent }
  /** `isAnswer`: its output is the text of the answer above. */
  | { readonly kind: 'end'; readonly event: CloudEvent; readonly isAnswer: boolean }

/** By the version of the turn. */
export type Conversation = ReadonlyMap<number, readonly ChatItem[]>

export function conversationOf(turns: Iterable<TurnDetails>): Conversation {
  const all = [...turns].toSorted((a, b) => a.version - b.version)
  const answers = new Map(all.flatMap(({ inputs }) => inputs.flatMap(each => (each.call ? [[each.call, each]] : []))))
  const cancelled = new Set(all.flatMap(({ withdrawn = [] }) => withdrawn))
  return new Map(all.map(turn => [turn.version, itemsOf(turn, answers, cancelled)]))
}

function itemsOf(
  { version, inputs, emitted, emits }: TurnDetails,
  answers: ReadonlyMap<string, CloudEvent>,
  cancelled: ReadonlySet<string>,
): ChatItem[] {
  const waits = new Set(emits.flatMap(({ id, wait }) => (wait ? [id] : [])))
  const came = inputs.flatMap((event, i): ChatItem[] => {
    if (event.type === 'model.result') return [{ kind: 'answer', event, result: event.data as ModelResult }]
    const isStart = version === 1 && i === 0
    // The answer is shown with its call.
    return event.call !== undefined && !isStart ? [] : [{ kind: 'message', event, content: contentOf(event) }]
  })
  const made = emitted.flatMap((event): ChatItem[] => {
    if (event.type === promptedType) return [{ kind: 'prompt', event }]
    if (event.type.startsWith('agent.task.')) return [{ kind: 'end', event, isAnswer: isAnswer(event, inputs) }]
    if (!waits.has(event.id)) return [{ kind: 'emitted', event }]
    const answer = answers.get(event.id)
    // An open one is shown as text that is being written.
    if (event.type === 'model.invoke' && (!answer || answer.type === 'model.result')) return []
    return [
      { kind: 'call', request: event, ...(answer && { answer }), ...(cancelled.has(event.id) && { cancelled: true }) },
    ]
  })
  return [...came, ...made]
}

const isAnswer = ({ data }: CloudEvent, inputs: readonly CloudEvent[]) =>
  inputs.some(
    ({ type, data: answer }) =>
      type === 'model.result' &&
      (answer as ModelResult | null)?.text !== '' &&
      (answer as ModelResult | null)?.text === (data as { output?: unknown } | null)?.output,
  )

function contentOf(event: CloudEvent): unknown {
  if (isTruncated(event.data)) return event.data
  const isAsked = /^agent\.(invoke|message|noted)$/.test(event.type)
  return isAsked ? userContent(event) : isRuntimeType(event.type) || event.data !== null ? event.data : undefined
}

/** The text of a message, if it is one: a text, or the texts of its parts. */
export function textOf(content: unknown): string | undefined {
  if (typeof content === 'string') return content
  if (!Array.isArray(content) || content.length === 0) return undefined
  const texts = content.map((part: { type?: unknown; text?: unknown }) =>
    part?.type === 'text' && typeof part.text === 'string' ? part.text : undefined,
  )
  return texts.every(text => text !== undefined) ? texts.join('\n') : undefined
}

/** What a call asks for, and what its answer says, as people read them. */
export const inputOfCall = ({ data }: CloudEvent): unknown => {
  const fields = (data ?? {}) as Record<string, unknown>
  return 'input' in fields ? fields.input : 'what' in fields ? fields.what : data
}
export const outputOf = ({ data }: CloudEvent): unknown => {
  const fields = (data ?? {}) as Record<string, unknown>
  return 'output' in fields ? fields.output : 'error' in fields ? fields.error : data
}

/** Calls of the model that no event asks a tool for, as those with arguments that are not JSON. */
export const refusedCalls = ({ toolCalls }: ModelResult) =>
  (toolCalls ?? []).filter(({ malformed }) => malformed !== undefined)
