import { APICallError, type LanguageModelV4, type LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { TidingsError, toTidingsError } from '../errors.ts'
import { Answer, type Keep, type StepResult } from './answer.ts'

/**
 * One model step by streaming: text goes to `onDelta` as it comes, the whole is returned. Nothing of it counts, tool
 * calls above all, before a finish that is neither an error nor an interruption.
 * @throws E_MODEL_FAILED, retryable when the stream broke off or the provider says so.
 */
export async function step(
  model: LanguageModelV4,
  options: LanguageModelV4CallOptions,
  onDelta: (text: string) => void,
  keep: Keep,
): Promise<StepResult> {
  const { stream } = await model.doStream(options)
  const answer = new Answer(keep)
  for await (const part of stream) {
    if (part.type === 'error') throw broken(part.error)
    if (part.type === 'finish') {
      const { unified, raw } = part.finishReason
      if (unified === 'error' || unified === 'interrupted')
        throw broken(`the stream ended with ${unified}${raw === undefined ? '' : ` (${raw})`}`)
      return answer.result(part)
    }
    if (part.type === 'text-delta') onDelta(part.delta)
    answer.take(part)
  }
  throw broken('the stream ended before the answer was complete')
}

/** What a provider threw, and how long it asked to be left alone, in ms. */
export function modelError(error: unknown): { error: TidingsError; after?: number } {
  const known = toTidingsError(error, 'E_MODEL_FAILED')
  if (known === error || !isApiCallError(error)) return { error: known }
  const after = retryAfter(error.responseHeaders?.['retry-after'])
  return {
    error: new TidingsError('E_MODEL_FAILED', `${error.statusCode ?? 'no answer'}: ${known.message}`, {
      cause: error,
      retryable: error.isRetryable === true,
      originalCode: known.originalCode,
    }),
    ...(after !== undefined && { after }),
  }
}

/** What a provider throws may be a proxy, or have getters that throw. */
function isApiCallError(error: unknown): error is APICallError {
  try {
    return APICallError.isInstance(error) && `${error.statusCode}${error.isRetryable}` !== ''
  } catch {
    return false
  }
}

/** A stream that began and did not end well: worth another try, unless the provider's own error says otherwise. */
function broken(cause: unknown): unknown {
  if (isApiCallError(cause)) return cause
  const { message, originalCode } = toTidingsError(cause, 'E_MODEL_FAILED')
  return new TidingsError('E_MODEL_FAILED', message, { cause, originalCode, retryable: true })
}

/** Seconds or an HTTP date, in ms from now. Source: RFC 9110, 10.2.3. */
function retryAfter(header: unknown): number | undefined {
  if (typeof header !== 'string' || header === '') return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
