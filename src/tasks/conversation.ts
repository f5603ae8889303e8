import type {
  JSONValue,
  LanguageModelV4Citation,
  LanguageModelV4Source,
  SharedV4ProviderMetadata,
  SharedV4Warning,
} from '@ai-sdk/provider'

import type { CloudEvent } from '../event.ts'
import { messageType } from './asked.ts'
import type { ModelSettings } from './model-settings.ts'
import { inputOf } from './program.ts'

/*
 * The data of `model.invoke`. A conversation is a chain: each request names the previous one and the messages since then, by the ids of
 * the events that contain them. So its size on the log grows linearly.
 */

/** A message, as a reference to the event that contains it. */
export type MessageRef =
  | { readonly role: 'user'; readonly event: string }
  | { readonly role: 'assistant'; readonly event: string }
  | { readonly role: 'tool'; readonly event: string; readonly toolCallId: string; readonly toolName: string }

/** A model agent made its first message, or its instructions, from its input. */
export const promptedType = 'agent.prompted'

/** Data of `agent.prompted`. */
export interface PromptedData {
  readonly instructions?: string
  /** A text, a list of parts, or any JSON. */
  readonly message?: unknown
}

/**
 * A part of a message to a model, in a list that an agent gets as its input or makes with `prompt`. The content of a file is a blob, or a `url`
 * that the provider can read itself; it is never in an event.
 * @example [{ type: 'text', text: 'What is on this picture?' }, { type: 'file', mediaType: 'image/png', blob: 'sha256-…' }]
 */
export type MessagePart =
  | { readonly type: 'text'; readonly text: string }
  | ({ readonly type: 'file'; readonly mediaType: string; readonly filename?: string } & (
      | { readonly blob: string }
      | { readonly url: string }
    ))

/** Whether JSON is a part of a message. */
export function isMessagePart(value: unknown): value is MessagePart {
  const { type, text, mediaType, blob, url } = (value ?? {}) as Record<string, unknown>
  if (type === 'text') return typeof text === 'string'
  if (type !== 'file' || typeof mediaType !== 'string') return false
  return typeof url === 'string' ? URL.canParse(url) : typeof blob === 'string'
}

/** What an event says as a message of the user. */
export function userContent(event: CloudEvent): unknown {
  if (event.type === 'model.result') return `Summary of the conversation so far:\n\n${(event.data as ModelResult).text}`
  // The answer of a guard that rewrote the message.
  if (event.type === 'tool.result' || event.type === 'agent.task.completed')
    return (event.data as { output?: { rewrite?: unknown } | null } | null)?.output?.rewrite
  if (event.type === promptedType) return (event.data as PromptedData | null)?.message
  if (event.type === 'agent.noted') return (event.data as { text?: unknown } | null)?.text
  return event.type === messageType ? (event.data as { message?: unknown } | null)?.message : inputOf(event)
}

export interface ModelRequest {
  /** Key of the definition document: instructions, tools, output schema. */
  readonly definition: string
  /** Id of the previous `model.invoke`, null for the first. */
  readonly prev: string | null
  readonly messages: readonly MessageRef[]
  /** The first message of the conversation, which the model always gets. */
  readonly first: MessageRef
  /** Maximum number of messages that the model gets: the newest ones. */
  readonly window: number
  /** The `agent.prompted` with the instructions, if they are not those of the definition. */
  readonly instructions?: string
  /** The model is asked to summarise the conversation: it calls nothing, and answers with a text whatever the output schema. */
  readonly summary?: true
  /** The `agent.invoke` whose data has the tools of a user interface. */
  readonly tools?: string
  /** What the model must call in this step. Default: nothing. */
  readonly toolChoice?: { readonly type: 'required' } | { readonly type: 'tool'; readonly toolName: string }
}

/** The `conversation` of an `agent.invoke`: a conversation of the same correlation that its task continues. */
export interface EarlierConversation {
  /** Its last `model.invoke`, and the messages since then. */
  readonly prev: string | null
  readonly messages: readonly MessageRef[]
  /** Its first message. */
  readonly first: MessageRef
  /** The tokens of its last request and answer. */
  readonly tokens?: number
  /** In a hand-over: the call of the model that asked for it. The request is the answer to it; else it is the user's next message. */
  readonly handover?: { readonly toolCallId: string; readonly toolName: string }
}

/** The constant part of all requests of an agent; stored as the document `definition/HASH`. */
export interface ModelDefinition {
  readonly instructions: string
  /** `name`: letters, digits, `_` and `-`. */
  readonly tools: readonly {
    readonly name: string
    readonly description: string
    readonly input: Record<string, unknown>
  }[]
  readonly output?: Record<string, unknown>
  readonly settings?: ModelSettings
  /** Asks the provider to cache what requests have in common. */
  readonly cache?: true
}

export interface ModelToolCall {
  readonly toolCallId: string
  readonly toolName: string
  /** Undefined if the arguments are not JSON; then `malformed` contains them. */
  readonly input?: unknown
  readonly malformed?: string
  /** The arguments were cut off at the limit of output tokens; `malformed` contains what arrived. */
  readonly cut?: true
}

/** A part of an answer. `providerMetadata` is returned to the provider unchanged: signatures, ids, encrypted reasoning. */
export type ModelPart = {
  readonly providerMetadata?: SharedV4ProviderMetadata
} & (
  | { readonly type: 'text'; readonly text?: string; readonly citations?: readonly LanguageModelV4Citation[] }
  /** `redacted`: the text was changed after the provider signed it, so it cannot be returned to the provider. */
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
  /** The result of a call that the provider executed. */
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
  /** The parts in order, if they say more than the fields above. The only text, or the only reasoning, has no `text` of its own. */
  readonly content?: readonly ModelPart[]
  readonly finish: string
  /** The finish reason as the provider named it. */
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
  /** Provider metadata of the whole answer. */
  readonly metadata?: SharedV4ProviderMetadata
}

/** How an answer ended. `paused`: the provider continues if it gets the answer back. */
export type ModelEnd = 'whole' | 'paused' | 'length' | 'filtered' | 'refused' | 'empty' | 'other'

// OpenAI reports a refusal as a good end, and its packages map that to a content filter.
const refusals = new Set<string | undefined>([undefined, 'stop', 'refusal'])

export function endOf({ finish, rawFinish, text, toolCalls, content }: ModelResult): ModelEnd {
  if (finish === 'length') return 'length'
  if (finish === 'content-filter') return refusals.has(rawFinish) ? 'refused' : 'filtered'
  // Stubs may omit `finish`.
  if (finish !== undefined && finish !== 'stop' && finish !== 'tool-calls') return 'other'
  if (rawFinish === 'pause_turn') return 'paused'
  const isEmpty = !text?.trim() && !toolCalls?.length && !content?.some?.(({ type }) => type === 'file')
  return isEmpty ? 'empty' : 'whole'
}

/** The tokens of a request and its answer, which the next request contains. */
export const tokensOf = ({ usage }: Pick<ModelResult, 'usage'>): number => usage.input + usage.output

export const definitionKey = (hash: string) => `definition/${hash}`

/** The name of a model as a target: the `name` of `model()`, else provider and model id. */
export function modelName(model: { provider: string; modelId: string } | { kind: 'model'; name: string }): string {
  return 'kind' in model ? model.name : `${model.provider}/${model.modelId}`
}
