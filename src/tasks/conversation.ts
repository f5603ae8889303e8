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
}

/** Data of `model.result`. */
export interface ModelResult {
  readonly model: string
  readonly text: string
  readonly reasoning?: string
  readonly toolCalls: readonly ModelToolCall[]
  readonly finish: string
  readonly usage: { readonly input: number; readonly output: number; readonly cached?: number }
  readonly cost?: number
}

export const definitionKey = (hash: string) => `definition/${hash}`

/** The name under which a model is addressed: of `model()` its own, else provider and model id. */
export function modelName(model: { provider: string; modelId: string } | { kind: 'model'; name: string }): string {
  return 'kind' in model ? model.name : `${model.provider}/${model.modelId}`
}
