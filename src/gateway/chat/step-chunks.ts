import type { UIMessageChunk } from 'ai'
import type { StreamPart } from '../../ask/parts.ts'
import type { ModelPart, ModelResult } from '../../tasks/conversation.ts'

type TextPart = Extract<StreamPart, { readonly type: 'text' | 'reasoning' | 'tool-input' }>

interface OpenText {
  readonly id: string
  readonly begin: UIMessageChunk
  readonly kind: TextPart['type']
  text: string
  hasEnded: boolean
}

/**
 * One call of a model as chunks of the AI SDK: what it writes, then what it called and cited. If an attempt fails, `reset-step` voids the
 * step, and what still holds is sent again.
 */
export class StepChunks {
  readonly call: string
  readonly #texts = new Map<number, OpenText>()

  constructor(call: string) {
    this.call = call
  }

  write(part: TextPart): UIMessageChunk[] {
    const known = this.#texts.get(part.part)
    if (known) {
      known.text += part.text
      return [delta(known, part.text)]
    }
    const id = part.type === 'tool-input' ? part.toolCallId : `${part.call}/${part.part}`
    const begun = { id, begin: beginOf(part, id), kind: part.type, text: part.text, hasEnded: false }
    const ended = this.end()
    this.#texts.set(part.part, begun)
    return [...ended, begun.begin, delta(begun, part.text)]
  }

  restart(part: number): UIMessageChunk[] {
    this.#texts.delete(part)
    const kept = [...this.#texts.values()].flatMap(text => [
      text.begin,
      delta(text, text.text),
      ...(text.hasEnded ? endOf(text) : []),
    ])
    return [{ type: 'reset-step' }, ...kept]
  }

  /** `fileUrl`: where a blob can be read. */
  finish(
    { toolCalls, content = [] }: ModelResult,
    fileUrl: (blob: string, mediaType: string) => string,
  ): UIMessageChunk[] {
    const calls = toolCalls.map(
      ({ toolCallId, toolName, input, malformed }): UIMessageChunk => ({
        type: 'tool-input-available',
        toolCallId,
        toolName,
        input: input ?? malformed ?? {},
      }),
    )
    return [...this.end(), ...calls, ...content.flatMap((part, i) => contentChunks(part, `${this.call}/${i}`, fileUrl))]
  }

  /** Ends the texts that are open. */
  end(): UIMessageChunk[] {
    return [...this.#texts.values()]
      .filter(({ hasEnded }) => !hasEnded)
      .flatMap(text => {
        text.hasEnded = true
        return endOf(text)
      })
  }
}

const beginOf = (part: TextPart, id: string): UIMessageChunk =>
  part.type === 'tool-input'
    ? { type: 'tool-input-start', toolCallId: id, toolName: part.toolName }
    : { type: `${part.type}-start`, id }

const delta = ({ id, kind }: OpenText, text: string): UIMessageChunk =>
  kind === 'tool-input'
    ? { type: 'tool-input-delta', toolCallId: id, inputTextDelta: text }
    : { type: `${kind}-delta`, id, delta: text }

/** The arguments of a call end with `tool-input-available`. */
const endOf = ({ id, kind }: OpenText): UIMessageChunk[] => (kind === 'tool-input' ? [] : [{ type: `${kind}-end`, id }])

function contentChunks(
  part: ModelPart,
  sourceId: string,
  fileUrl: (blob: string, mediaType: string) => string,
): UIMessageChunk[] {
  if (part.type === 'tool-call' && part.providerExecuted) {
    const { toolCallId, toolName, input } = part
    return [{ type: 'tool-input-available', toolCallId, toolName, input, providerExecuted: true }]
  }
  if (part.type === 'tool-result')
    return part.isError
      ? [
          {
            type: 'tool-output-error',
            toolCallId: part.toolCallId,
            errorText: JSON.stringify(part.result),
            providerExecuted: true,
          },
        ]
      : [{ type: 'tool-output-available', toolCallId: part.toolCallId, output: part.result, providerExecuted: true }]
  if (part.type === 'file' || part.type === 'reasoning-file')
    return [
      {
        type: part.type,
        mediaType: part.mediaType,
        url: 'url' in part ? part.url : fileUrl(part.blob, part.mediaType),
      },
    ]
  if (part.type !== 'source') return []
  if (part.sourceType === 'url') {
    const { url, title } = part
    return [{ type: 'source-url', sourceId, url, ...(title !== undefined && { title }) }]
  }
  const { mediaType, title, filename } = part
  return [{ type: 'source-document', sourceId, mediaType, title, ...(filename !== undefined && { filename }) }]
}
