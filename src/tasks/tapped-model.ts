import type { ModelToolCall } from './conversation.ts'

/*
 * The data of the calls of models that a tap records. The answer is a `model.result`, like that of any model, or a `model.failed`. The request
 * holds its messages itself: no event of the log holds them.
 */

/** The protocols whose calls are recorded. */
export type ModelApiName = 'openai.chat' | 'openai.responses' | 'openai.embeddings' | 'anthropic.messages'

/** Data of a tapped `model.invoke`. */
export interface TappedModelRequest {
  readonly api: ModelApiName
  readonly model: string
  /** The messages that are new since `prev`; all of them, if it is null. Instructions are not among them. */
  readonly prompt: readonly TappedMessage[]
  /** The tapped `model.invoke` whose messages and answer this request begins with. */
  readonly prev: string | null
  /** Number of all messages of the request. */
  readonly total: number
  readonly instructions?: string
  /** Names of the tools that the model may call. */
  readonly tools?: readonly string[]
  /** By the names of the AI SDK. */
  readonly settings?: Readonly<Record<string, unknown>>
  readonly stream?: true
  readonly http: TappedHttpRequest
}

export interface TappedHttpRequest {
  readonly path: string
  /** Names in lower case, without those that carry credentials. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: TappedPayload
}

/** A body as it was sent: as JSON or text, or only its size and digest. */
export interface TappedPayload {
  /** Size as it was sent. */
  readonly bytes: number
  /** Of what was sent, in hex. Absent if not all of it passed the tap. */
  readonly sha256?: string
  readonly json?: unknown
  /** What is not JSON; if `isCut`, its beginning. */
  readonly text?: string
  /** It was not kept as a whole. */
  readonly isCut?: true
}

/** A message of a request, in the words of `model.result`. */
export interface TappedMessage {
  readonly role: 'user' | 'assistant' | 'tool'
  /** All texts of the message, joined. */
  readonly text?: string
  readonly reasoning?: string
  readonly toolCalls?: readonly ModelToolCall[]
  /** The answers of tools. */
  readonly results?: readonly TappedToolResult[]
  readonly files?: readonly TappedFile[]
}

export interface TappedToolResult {
  readonly toolCallId: string
  readonly output: unknown
  readonly isError?: true
}

/** A file in a message: where it is, or its size and digest. */
export interface TappedFile {
  readonly mediaType: string
  readonly url?: string
  readonly bytes?: number
  readonly sha256?: string
}

/** What a tap adds to a `model.result` and a `model.failed`. */
export interface TappedExchange {
  readonly status?: number
  /** Names in lower case, without those that carry credentials. */
  readonly headers?: Readonly<Record<string, string>>
  /** What came back, if it is not all in the fields of the answer; else its size and digest. */
  readonly body?: TappedPayload
  /** From the arrival of the request to the head of the response, and to its end. */
  readonly headMs?: number
  readonly ms: number
}
