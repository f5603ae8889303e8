import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4ToolCall,
} from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import type { ModelResult, ModelToolCall } from '../tasks/conversation.ts'

/**
 * One model step by streaming: text goes to `onDelta` as it comes, the whole is returned. Nothing of it counts, tool
 * calls above all, before a finish that is neither an error nor an interruption.
 * @throws E_MODEL_FAILED, retryable when the stream broke off or the provider says so.
 */
export async function step(
  model: LanguageModelV4,
  options: LanguageModelV4CallOptions,
  onDelta: (text: string) => void,
): Promise<Omit<ModelResult, 'model' | 'cost'>> {
  const { stream } = await model.doStream(options)
  let text = ''
  let reasoning = ''
  const calls: LanguageModelV4ToolCall[] = []
  for await (const part of stream) {
    if (part.type === 'text-delta') {
      text += part.delta
      onDelta(part.delta)
    } else if (part.type === 'reasoning-delta') reasoning += part.delta
    else if (part.type === 'tool-call') calls.push(part)
    else if (part.type === 'error') throw broken(part.error)
    else if (part.type === 'finish') {
      const { unified } = part.finishReason
      if (unified === 'error' || unified === 'interrupted') throw broken(`the stream ended with ${unified}`)
      const { inputTokens, outputTokens } = part.usage
      return {
        text,
        ...(reasoning && { reasoning }),
        toolCalls: calls.map(parseCall),
        finish: unified,
        usage: {
          input: inputTokens.total ?? 0,
          output: outputTokens.total ?? 0,
          ...(inputTokens.cacheRead !== undefined && { cached: inputTokens.cacheRead }),
        },
      }
    }
  }
  throw broken('the stream ended before the answer was complete')
}

function parseCall({ toolCallId, toolName, input }: LanguageModelV4ToolCall): ModelToolCall {
  try {
    return { toolCallId, toolName, input: input.trim() === '' ? {} : JSON.parse(input) }
  } catch {
    return { toolCallId, toolName, malformed: input }
  }
}

/** What a provider threw, and how long it asked to be left alone, in ms. */
export function modelError(error: unknown): { error: TidingsError; after?: number } {
  if (error instanceof TidingsError) return { error }
  if (!APICallError.isInstance(error))
    return { error: new TidingsError('E_MODEL_FAILED', messageOf(error), { cause: error }) }
  const after = retryAfter(error.responseHeaders?.['retry-after'])
  return {
    error: new TidingsError('E_MODEL_FAILED', `${error.statusCode ?? 'no answer'}: ${error.message}`, {
      cause: error,
      retryable: error.isRetryable,
    }),
    ...(after !== undefined && { after }),
  }
}

/** A stream that began and did not end well: worth another try, unless the provider's own error says otherwise. */
function broken(cause: unknown): unknown {
  if (APICallError.isInstance(cause)) return cause
  return new TidingsError('E_MODEL_FAILED', messageOf(cause), { cause, retryable: true })
}

function messageOf(error: unknown): string {
  if (typeof error === 'string') return error
  return String((error as { message?: unknown } | null)?.message ?? error)
}

/** Seconds or an HTTP date, in ms from now. Source: RFC 9110, 10.2.3. */
function retryAfter(header: string | undefined): number | undefined {
  if (!header) return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
