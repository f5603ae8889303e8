import {
  EventType,
  type ActivityMessage,
  type AGUIEvent,
  type AssistantMessage,
  type Message,
  type ToolCall,
} from '@ag-ui/core'
import type { StreamPart } from '../../ask/parts.ts'
import type { ModelPart, ModelResult } from '../../tasks/conversation.ts'

type TextPart = Extract<StreamPart, { readonly type: 'text' | 'reasoning' | 'tool-input' }>

interface OpenPart {
  readonly part: TextPart
  text: string
  isOpen: boolean
}

/**
 * One call of a model as messages of AG-UI: each reasoning is one, and the texts and tool calls together are one of the assistant, whose id is
 * that of the call. A part that ended may go on: it is opened again under the same id, and the client appends.
 */
export class ModelMessages {
  readonly #call: string
  readonly #parts = new Map<number, OpenPart>()
  readonly #activities: ActivityMessage[] = []
  readonly #provided: { readonly call: ToolCall; readonly result?: string }[] = []
  /** The text of the message as the client has it. */
  #sent = ''

  constructor(call: string) {
    this.#call = call
  }

  write(part: TextPart): AGUIEvent[] {
    const known = this.#parts.get(part.part)
    const written = known ?? { part, text: '', isOpen: false }
    this.#parts.set(part.part, written)
    const begun = written.isOpen ? [] : [...this.end(), ...this.#open(written)]
    written.text += part.text
    if (part.type === 'text') this.#sent += part.text
    return [...begun, this.#delta(part, part.text)]
  }

  /**
   * Voids a part. A snapshot of the messages then tells the client. A void reasoning is an empty message, because clients keep theirs where
   * a snapshot has none.
   */
  restart(part: number): AGUIEvent[] {
    const ended = this.end()
    const known = this.#parts.get(part)
    if (known?.part.type === 'reasoning') known.text = ''
    else this.#parts.delete(part)
    this.#sent = this.#text
    return ended
  }

  /** Whether the client has the text in the order of its parts, which a model may write at the same time. */
  get isInOrder(): boolean {
    return this.#sent === this.#text
  }

  /** `fileUrl`: where a blob can be read. */
  finish({ content = [] }: ModelResult, fileUrl: (blob: string, mediaType: string) => string): AGUIEvent[] {
    const ended = this.end()
    const provided = content.flatMap(part => this.#provide(part))
    const sources = content.filter(part => part.type === 'source').map(sourceOf)
    const files = content.flatMap(part => (part.type === 'file' ? fileOf(part, fileUrl) : []))
    return [...ended, ...provided, ...this.#show('sources', sources), ...this.#show('files', files)]
  }

  /** Ends the parts that are open. */
  end(): AGUIEvent[] {
    return [...this.#parts.values()]
      .filter(({ isOpen }) => isOpen)
      .flatMap(open => {
        open.isOpen = false
        return this.#close(open.part)
      })
  }

  get messages(): Message[] {
    const reasoning = this.#of('reasoning').map(
      ({ part, text }): Message => ({ id: this.#idOf(part), role: 'reasoning', content: text }),
    )
    const toolCalls = this.#of('tool-input').map(
      ({ part, text }): ToolCall => ({
        id: this.#idOf(part),
        type: 'function',
        function: { name: nameOf(part), arguments: text },
      }),
    )
    const all = [...toolCalls, ...this.#provided.map(({ call }) => call)]
    if (all.length + this.#of('text').length === 0) return [...reasoning, ...this.#activities]
    const assistant: AssistantMessage = {
      id: this.#call,
      role: 'assistant',
      content: this.#text,
      ...(all.length > 0 && { toolCalls: all }),
    }
    const results = this.#provided.flatMap(({ call: { id }, result }): Message[] =>
      result === undefined ? [] : [{ id: `${id}:result`, role: 'tool', toolCallId: id, content: result }],
    )
    return [...reasoning, assistant, ...results, ...this.#activities]
  }

  get #text(): string {
    return this.#of('text')
      .map(({ text }) => text)
      .join('')
  }

  #of(type: TextPart['type']): OpenPart[] {
    const parts = [...this.#parts.values()].filter(({ part }) => part.type === type)
    return parts.toSorted((one, other) => one.part.part - other.part.part)
  }

  #idOf(part: TextPart): string {
    if (part.type === 'tool-input') return part.toolCallId
    return part.type === 'text' ? this.#call : `${this.#call}/${part.part}`
  }

  #open(open: OpenPart): AGUIEvent[] {
    const { part } = open
    const messageId = this.#idOf(part)
    open.isOpen = true
    if (part.type === 'text') return [{ type: EventType.TEXT_MESSAGE_START, messageId, role: 'assistant' }]
    if (part.type === 'tool-input')
      return [
        {
          type: EventType.TOOL_CALL_START,
          toolCallId: messageId,
          toolCallName: part.toolName,
          parentMessageId: this.#call,
        },
      ]
    return [
      { type: EventType.REASONING_START, messageId },
      { type: EventType.REASONING_MESSAGE_START, messageId, role: 'reasoning' },
    ]
  }

  #delta(part: TextPart, delta: string): AGUIEvent {
    const messageId = this.#idOf(part)
    if (part.type === 'text') return { type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta }
    if (part.type === 'reasoning') return { type: EventType.REASONING_MESSAGE_CONTENT, messageId, delta }
    return { type: EventType.TOOL_CALL_ARGS, toolCallId: messageId, delta }
  }

  #close(part: TextPart): AGUIEvent[] {
    const messageId = this.#idOf(part)
    if (part.type === 'text') return [{ type: EventType.TEXT_MESSAGE_END, messageId }]
    if (part.type === 'tool-input') return [{ type: EventType.TOOL_CALL_END, toolCallId: messageId }]
    return [
      { type: EventType.REASONING_MESSAGE_END, messageId },
      { type: EventType.REASONING_END, messageId },
    ]
  }

  /** What a model made besides text: a message of its own, which no model reads. */
  #show(activityType: 'sources' | 'files', list: readonly object[]): AGUIEvent[] {
    if (list.length === 0) return []
    const activity = { activityType, content: { [activityType]: list } }
    const id = `${this.#call}/${activityType}`
    this.#activities.push({ id, role: 'activity', ...activity })
    return [{ type: EventType.ACTIVITY_SNAPSHOT, messageId: id, ...activity }]
  }

  /** A tool that the provider ran itself. */
  #provide(part: NonNullable<ModelResult['content']>[number]): AGUIEvent[] {
    if (part.type === 'tool-call' && part.providerExecuted) {
      const { toolCallId: id, toolName, input } = part
      const call = toolCallOf(id, toolName, input)
      this.#provided.push({ call })
      return toolCallEvents(call, this.#call)
    }
    if (part.type !== 'tool-result') return []
    const at = this.#provided.findIndex(({ call }) => call.id === part.toolCallId)
    if (at < 0) return []
    const result = contentOf(part.result)
    this.#provided[at] = { ...this.#provided[at]!, result }
    const { toolCallId } = part
    return [{ type: EventType.TOOL_CALL_RESULT, messageId: `${toolCallId}:result`, toolCallId, content: result }]
  }
}

const sourceOf = (part: Extract<ModelPart, { readonly type: 'source' }>) =>
  part.sourceType === 'url'
    ? { url: part.url, ...(part.title !== undefined && { title: part.title }) }
    : {
        mediaType: part.mediaType,
        title: part.title,
        ...(part.filename !== undefined && { filename: part.filename }),
      }

const fileOf = (
  part: Extract<ModelPart, { readonly type: 'file' | 'reasoning-file' }>,
  fileUrl: (blob: string, mediaType: string) => string,
) => ({ mediaType: part.mediaType, url: 'url' in part ? part.url : fileUrl(part.blob, part.mediaType) })

const nameOf = (part: TextPart) => (part.type === 'tool-input' ? part.toolName : '')

export const toolCallOf = (id: string, name: string, input: unknown): ToolCall => ({
  id,
  type: 'function',
  function: { name, arguments: JSON.stringify(input ?? {}) },
})

/** A tool call whose arguments are known. */
export const toolCallEvents = (
  { id, function: { name, arguments: delta } }: ToolCall,
  parent?: string,
): AGUIEvent[] => [
  {
    type: EventType.TOOL_CALL_START,
    toolCallId: id,
    toolCallName: name,
    ...(parent !== undefined && { parentMessageId: parent }),
  },
  { type: EventType.TOOL_CALL_ARGS, toolCallId: id, delta },
  { type: EventType.TOOL_CALL_END, toolCallId: id },
]

/** A value as the content of a message. */
export const contentOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null))
