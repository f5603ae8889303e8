import { APICallError, type LanguageModelV4, type LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import type { ModelResult, ModelToolCall } from '../tasks/conversation.ts'

/**
 * One model step by streaming: text goes to `onDelta` as it comes, the whole is returned.
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
  const toolCalls: ModelToolCall[] = []
  for await (const part of stream) {
    if (part.type === 'text-delta') {
      text += part.delta
      onDelta(part.delta)
    } else if (part.type === 'reasoning-delta') reasoning += part.delta
    else if (part.type === 'tool-call') toolCalls.push(toolCall(part))
    else if (part.type === 'error') throw part.error
    else if (part.type === 'finish') {
      const { inputTokens, outputTokens } = part.usage
      return {
        text,
        ...(reasoning && { reasoning }),
        toolCalls,
        finish: part.finishReason.unified,
        usage: {
          input: inputTokens.total ?? 0,
          output: outputTokens.total ?? 0,
          ...(inputTokens.cacheRead !== undefined && { cached: inputTokens.cacheRead }),
        },
      }
    }
  }
  throw new TidingsError('E_MODEL_FAILED', 'the stream ended before the answer was complete', { retryable: true })
}

function toolCall({ toolCallId, toolName, input }: { toolCallId: string; toolName: string; input: string }): ModelToolCall {
  try {
    return { toolCallId, toolName, input: input.trim() === '' ? {} : JSON.parse(input) }
  } catch {
    return { toolCallId, toolName, malformed: input }
  }
}

/** What a provider threw, and how long it asked to be left alone, in ms. */
export function modelError(error: unknown): { error: TidingsError; after?: number } {
  if (error instanceof TidingsError) return { error }
  const message = error instanceof Error ? error.message : String(error)
  if (!APICallError.isInstance(error))
    return { error: new TidingsError('E_MODEL_FAILED', message, { cause: error, retryable: isBroken(error) }) }
  const after = Number(error.responseHeaders?.['retry-after'])
  return {
    error: new TidingsError('E_MODEL_FAILED', `${error.statusCode ?? 'no answer'}: ${message}`, { cause: error, retryable: error.isRetryable }),
    ...(Number.isFinite(after) && { after: after * 1_000 }),
  }
}

// undici says "terminated" when a response body breaks off.
const isBroken = (error: unknown) => error instanceof TypeError || (error as NodeJS.ErrnoException)?.code === 'ECONNRESET'
