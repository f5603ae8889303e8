import type {
  LanguageModelV4StreamPart,
  LanguageModelV4ToolCall,
  SharedV4FileDataData,
  SharedV4FileDataUrl,
  SharedV4ProviderMetadata,
} from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import type { ModelPart, ModelResult, ModelToolCall } from '../tasks/conversation.ts'

export type StepResult = Omit<ModelResult, 'model' | 'cost'>

export type StoreBlob = (bytes: Uint8Array) => Promise<{ blob: string; bytes: number }>

type StreamPart<Type extends LanguageModelV4StreamPart['type']> = Extract<LanguageModelV4StreamPart, { type: Type }>
type Finish = StreamPart<'finish'>
type StreamedText = { type: 'text' | 'reasoning'; text: string } & Pick<StreamPart<'text-end'>, 'citations'> & {
    providerMetadata?: SharedV4ProviderMetadata
  }
type CollectedPart =
  | StreamedText
  | LanguageModelV4ToolCall
  | StreamPart<'tool-result' | 'file' | 'reasoning-file' | 'source' | 'custom'>

/** Collects the parts of a stream into the data of a `model.result`. docs/models.md says what is kept. */
export class AnswerCollector {
  readonly #storeBlob: StoreBlob
  readonly #parts: CollectedPart[] = []
  readonly #unfinished = new Map<string, StreamedText>()
  readonly #unfinishedCalls = new Map<string, { toolName: string; input: string }>()
  #warnings: StreamPart<'stream-start'>['warnings'] = []
  #response: ModelResult['response']

  constructor(storeBlob: StoreBlob) {
    this.#storeBlob = storeBlob
  }

  /** Adds a part that is neither an error nor the finish. @throws E_MODEL_FAILED */
  add(part: LanguageModelV4StreamPart): void {
    switch (part.type) {
      case 'text-start':
      case 'text-delta':
      case 'text-end':
        return this.#append('text', part)
      case 'reasoning-start':
      case 'reasoning-delta':
      case 'reasoning-end':
        return this.#append('reasoning', part)
      case 'tool-input-start':
        if (!part.providerExecuted) this.#unfinishedCalls.set(part.id, { toolName: part.toolName, input: '' })
        return
      case 'tool-input-delta': {
        const begun = this.#unfinishedCalls.get(part.id)
        if (begun) begun.input += part.delta
        return
      }
      case 'tool-call':
        this.#unfinishedCalls.delete(part.toolCallId)
        return void this.#parts.push(part)
      case 'tool-result':
        return void (part.preliminary || this.#parts.push(part))
      case 'file':
      case 'reasoning-file':
      case 'source':
        return void this.#parts.push(part)
      case 'custom':
        // An event of the stream, whose id and model come as response-metadata too.
        return void (part.kind === 'anthropic.message_start' || this.#parts.push(part))
      case 'stream-start':
        this.#warnings = part.warnings
        return
      case 'response-metadata': {
        const { id, modelId, timestamp } = part
        this.#response = {
          ...(id !== undefined && { id }),
          ...(modelId !== undefined && { modelId }),
          ...(timestamp && { timestamp: timestamp.toISOString() }),
        }
        return
      }
      case 'tool-approval-request':
        throw new TidingsError(
          'E_MODEL_FAILED',
          'the provider asks a person to approve a tool that it runs itself, which is not supported',
          { next: 'Give the agent a tool of its own instead.' },
        )
      case 'tool-input-end':
      case 'ping':
      case 'raw':
      case 'error':
      case 'finish':
        return
    }
  }

  async result({ finishReason, usage, providerMetadata }: Finish): Promise<StepResult> {
    const { unified, raw } = finishReason
    const isCut = unified === 'length'
    if (isCut)
      for (const [toolCallId, { toolName, input }] of this.#unfinishedCalls)
        this.#parts.push({ type: 'tool-call', toolCallId, toolName, input })
    const parts = this.#parts.filter(part => !isStreamedText(part) || part.text !== '' || part.providerMetadata)
    const calls = parts.filter(part => part.type === 'tool-call' && !part.providerExecuted)
    const last = parts.at(-1)
    const text = textOf(parts, 'text')
    const reasoning = textOf(parts, 'reasoning')
    const content = saysMore(parts) && (await Promise.all(parts.map(part => this.#part(part, parts))))
    const metadata = withoutEmpty(providerMetadata)
    const { inputTokens, outputTokens } = usage
    return {
      text,
      ...(reasoning && { reasoning }),
      toolCalls: (calls as LanguageModelV4ToolCall[]).map(call => parseCall(call, isCut && call === last, isCut)),
      ...(content && { content }),
      finish: unified,
      ...(raw !== undefined && raw !== unified && { rawFinish: raw }),
      usage: {
        input: inputTokens.total ?? 0,
        output: outputTokens.total ?? 0,
        ...(inputTokens.cacheRead !== undefined && { cached: inputTokens.cacheRead }),
        ...(inputTokens.cacheWrite && { cacheWrite: inputTokens.cacheWrite }),
        ...(outputTokens.reasoning && { reasoning: outputTokens.reasoning }),
      },
      ...(this.#warnings.length > 0 && { warnings: this.#warnings }),
      ...(this.#response && Object.keys(this.#response).length > 0 && { response: this.#response }),
      ...(metadata && { metadata }),
    }
  }

  /** A later piece of a part extends its text and replaces its metadata, as in the AI SDK. */
  #append(type: 'text' | 'reasoning', part: StreamPart<`${'text' | 'reasoning'}-${'start' | 'delta' | 'end'}`>) {
    const key = `${type} ${part.id}`
    let growing = this.#unfinished.get(key)
    if (!growing) {
      this.#unfinished.set(key, (growing = { type, text: '' }))
      this.#parts.push(growing)
    }
    if ('delta' in part) growing.text += part.delta
    if ('citations' in part && part.citations) growing.citations = part.citations
    if (part.providerMetadata) growing.providerMetadata = part.providerMetadata
    if (part.type.endsWith('-end')) this.#unfinished.delete(key)
  }

  async #part(part: CollectedPart, all: readonly CollectedPart[]): Promise<ModelPart> {
    const metadata = part.providerMetadata && { providerMetadata: part.providerMetadata }
    switch (part.type) {
      case 'text':
      case 'reasoning': {
        const isOnly = all.every(each => each === part || each.type !== part.type)
        const citations = part.citations && { citations: part.citations }
        return { type: part.type, ...(!isOnly && { text: part.text }), ...citations, ...metadata }
      }
      case 'tool-call': {
        const { type, toolCallId, toolName, input, providerExecuted } = part
        if (!providerExecuted) return { type, toolCallId, ...metadata }
        return { type, toolCallId, toolName, input: jsonOf(input), providerExecuted, ...metadata }
      }
      case 'tool-result': {
        const { type, toolCallId, toolName, result, isError } = part
        return { type, toolCallId, toolName, result, ...(isError && { isError }), ...metadata }
      }
      case 'file':
      case 'reasoning-file': {
        const { type, mediaType } = part
        return { type, mediaType, ...(await this.#storeFile(part.data)), ...metadata }
      }
      case 'source':
      case 'custom':
        return part
    }
  }

  async #storeFile(data: SharedV4FileDataData | SharedV4FileDataUrl) {
    if (data.type === 'url') return { url: data.originalUrl ?? data.url.href }
    return this.#storeBlob(typeof data.data === 'string' ? Buffer.from(data.data, 'base64') : data.data)
  }
}

const isStreamedText = (part: CollectedPart): part is StreamedText => part.type === 'text' || part.type === 'reasoning'

const textOf = (parts: readonly CollectedPart[], type: StreamedText['type']) =>
  parts.map(part => (part.type === type ? part.text : '')).join('')

const order = ['reasoning', 'text', 'tool-call']

/** Whether the parts contain more than reasoning, text and calls in this order. */
function saysMore(parts: readonly CollectedPart[]): boolean {
  const ranks = parts.map(({ type }) => order.indexOf(type))
  return parts.some(
    (part, i) =>
      ranks[i] === -1 ||
      (i > 0 && (ranks[i]! < ranks[i - 1]! || (isStreamedText(part) && ranks[i] === ranks[i - 1]))) ||
      part.providerMetadata !== undefined ||
      ('citations' in part && part.citations) ||
      ('providerExecuted' in part && part.providerExecuted),
  )
}

/** `isLast`: the call may have been cut off at the limit of output tokens, so empty arguments are incomplete. */
function parseCall(
  { toolCallId, toolName, input }: LanguageModelV4ToolCall,
  isLast: boolean,
  isCut: boolean,
): ModelToolCall {
  const isEmpty = /^\s*(?:\{\s*\})?\s*$/.test(input)
  if (isLast && isEmpty) return { toolCallId, toolName, malformed: '', cut: true }
  try {
    return { toolCallId, toolName, input: isEmpty ? {} : JSON.parse(input) }
  } catch {
    return { toolCallId, toolName, malformed: input, ...(isCut && { cut: true }) }
  }
}

function jsonOf(input: string): unknown {
  try {
    return JSON.parse(input)
  } catch {
    return input
  }
}

/** Removes fields that a provider filled with null. */
function withoutEmpty(metadata: SharedV4ProviderMetadata | undefined): SharedV4ProviderMetadata | undefined {
  const entries = Object.entries(metadata ?? {}).flatMap(([provider, fields]) => {
    const kept = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
    return kept.length > 0 ? [[provider, Object.fromEntries(kept)] as const] : []
  })
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}
