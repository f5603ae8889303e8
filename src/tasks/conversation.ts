import type {
  JSONValue,
  LanguageModelV4Citation,
  LanguageModelV4Source,
  SharedV4ProviderMetadata,
  SharedV4Warning,
} from '@ai-sdk/provider'

/*
 * The wire form of `model.invoke`. A conversation is a chain: each request names the one before it and only the messages
 * that are new since, by the ids of the events that hold them. It costs bytes in proportion to its length.
 */

/** A message, as a reference to the event that holds it. */
export type MessageRef =
  | { readonly role: 'user'; readonly event: string }
  | { readonly role: 'assistant'; readonly event: string }
  | { readonly role: 'tool'; readonly event: string; readonly toolCallId: string; readonly toolName: string }

export interface ModelRequest {
  /** Key of the definition document: instructions, tools, output schema. */
  readonly definition: string
  /** Id of the `model.invoke` that this one continues, null for the first. */
  readonly prev: string | null
  readonly messages: readonly MessageRef[]
  /** The first message of the conversation: never left out. */
  readonly first: MessageRef
  /** Most messages that the model is given, the newest; older ones stay in the log. */
  readonly window: number
}

/** What stays the same over all requests of an agent; a document under `definition/<hash>`. */
export interface ModelDefinition {
  readonly instructions: string
  readonly tools: readonly ToolDefinition[]
  readonly output?: Record<string, unknown>
}

export interface ToolDefinition {
  /** As the model says it: letters, digits, `_` and `-`. */
  readonly name: string
  readonly description: string
  readonly input: Record<string, unknown>
}

export interface ModelToolCall {
  readonly toolCallId: string
  readonly toolName: string
  /** Undefined when the model's arguments are not JSON; then `malformed` holds them. */
  readonly input?: unknown
  readonly malformed?: string
  /** The limit of output tokens was reached within the arguments: `malformed` holds what came of them. */
  readonly cut?: true
}

/** A part of an answer. `providerMetadata` goes back to the provider as it came: signatures, ids, encrypted reasoning. */
export type ModelPart = {
  readonly providerMetadata?: SharedV4ProviderMetadata
} & (
  | { readonly type: 'text'; readonly text?: string; readonly citations?: readonly LanguageModelV4Citation[] }
  /** `redacted`: its provider signed another text, so that it cannot be given back. */
  | { readonly type: 'reasoning'; readonly text?: string; readonly redacted?: true }
  /** A call in `toolCalls`. */
  | { readonly type: 'tool-call'; readonly toolCallId: string; readonly providerExecuted?: undefined }
  | {
      readonly type: 'tool-call'
      readonly toolCallId: string
      readonly toolName: string
      readonly input: unknown
      readonly providerExecuted: true
    }
  /** What came of a call that the provider executed. */
  | {
      readonly type: 'tool-result'
      readonly toolCallId: string
      readonly toolName: string
      readonly result: JSONValue
      readonly isError?: boolean
    }
  | ({ readonly type: 'file' | 'reasoning-file'; readonly mediaType: string } & (
      | { readonly blob: string; readonly bytes: number }
      | { readonly url: string }
    ))
  | LanguageModelV4Source
  | { readonly type: 'custom'; readonly kind: `${string}.${string}` }
)

/** Data of `model.result`. */
export interface ModelResult {
  readonly model: string
  /** All texts of the answer, joined. */
  readonly text: string
  readonly reasoning?: string
  readonly toolCalls: readonly ModelToolCall[]
  /**
   * The parts in their order, where that says more than the fields above. A part that is the only text or the only
   * reasoning has no `text` of its own.
   */
  readonly content?: readonly ModelPart[]
  readonly finish: string
  /** The finish reason in the words of the provider. */
  readonly rawFinish?: string
  readonly usage: {
    readonly input: number
    readonly output: number
    readonly cached?: number
    readonly cacheWrite?: number
    readonly reasoning?: number
  }
  readonly cost?: number
  readonly warnings?: readonly SharedV4Warning[]
  readonly response?: { readonly id?: string; readonly modelId?: string; readonly timestamp?: string }
  /** What the provider said of the whole answer. */
  readonly metadata?: SharedV4ProviderMetadata
}

/** How an answer ended; `paused`: its provider wants to be asked again with what it gave, and goes on by itself. */
export type ModelEnd = 'whole' | 'paused' | 'length' | 'filtered' | 'refused' | 'empty' | 'other'

// OpenAI reports a refusal as a good end, and its packages map that to a content filter.
const refusals = new Set<string | undefined>([undefined, 'stop', 'refusal'])

export function endOf({ finish, rawFinish, text, toolCalls, content }: ModelResult): ModelEnd {
  if (finish === 'length') return 'length'
  if (finish === 'content-filter') return refusals.has(rawFinish) ? 'refused' : 'filtered'
  // A stub may leave it out.
  if (finish !== undefined && finish !== 'stop' && finish !== 'tool-calls') return 'other'
  if (rawFinish === 'pause_turn') return 'paused'
  const isEmpty = !text?.trim() && !toolCalls?.length && !content?.some?.(({ type }) => type === 'file')
  return isEmpty ? 'empty' : 'whole'
}

export const definitionKey = (hash: string) => `definition/${hash}`

/** The name under which a model is addressed: of `model()` its own, else provider and model id. */
export function modelName(model: { provider: string; modelId: string } | { kind: 'model'; name: string }): string {
  return 'kind' in model ? model.name : `${model.provider}/${model.modelId}`
}
