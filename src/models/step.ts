import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4StreamPart,
} from '@ai-sdk/provider'
import { TidingsError, toTidingsError } from '../errors.ts'
import { AnswerCollector, type StoreBlob, type StepResult } from './answer.ts'

export interface StepListener {
  readonly onBegin: () => void
  readonly onPart: (part: LanguageModelV4StreamPart) => void
  readonly storeBlob: StoreBlob
}

/**
 * Runs one model step as a stream. Its parts are passed to `onPart` as they arrive, and the whole answer is returned. Nothing counts, tool calls
 * in particular, unless the stream finishes without error.
 * @throws E_MODEL_FAILED, retryable if the stream broke off or the provider says so
 */
export async function step(
  model: LanguageModelV4,
  options: LanguageModelV4CallOptions,
  { onBegin, onPart, storeBlob }: StepListener,
): Promise<StepResult> {
  const { stream } = await model.doStream(options)
  const answer = new AnswerCollector(storeBlob)
  let hasBegun = false
  for await (const part of stream) {
    if (part.type === 'error') throw brokenStream(part.error)
    if (!hasBegun && isOfAnswer(part)) {
      hasBegun = true
      onBegin()
    }
    if (part.type === 'finish') {
      const { unified, raw } = part.finishReason
      if (failedFinish.has(unified))
        throw brokenStream(`the stream ended with ${unified}${raw === undefined ? '' : ` (${raw})`}`)
      return answer.result(part)
    }
    onPart(part)
    answer.add(part)
  }
  throw brokenStream('the stream ended before the answer was complete')
}

/** Whether a part belongs to an answer: not the start of the stream, nor the finish of a failed one. */
const isOfAnswer = (part: LanguageModelV4StreamPart) =>
  part.type === 'finish'
    ? !failedFinish.has(part.finishReason.unified)
    : part.type !== 'stream-start' && part.type !== 'response-metadata' && part.type !== 'raw'

const failedFinish: ReadonlySet<string> = new Set(['error', 'interrupted'])

export interface ModelFailure {
  readonly error: TidingsError
  /** The delay before a retry that the provider asks for, in ms. */
  readonly after?: number
  /** The provider is available and rejected this request. */
  readonly isRefusal: boolean
}

export function modelError(thrown: unknown): ModelFailure {
  const known = toTidingsError(thrown, 'E_MODEL_FAILED')
  if (known === thrown) return { error: known, isRefusal: false }
  const call = isApiCallError(thrown) ? thrown : undefined
  const retryable = call ? call.isRetryable === true : isOutage(thrown, known)
  const error = new TidingsError(
    'E_MODEL_FAILED',
    call ? `${call.statusCode ?? 'no answer'}: ${known.message}` : known.message,
    { cause: thrown, retryable, originalCode: known.originalCode },
  )
  const after = call && retryAfter(call.responseHeaders)
  return { error, isRefusal: call?.statusCode !== undefined && !retryable, ...(after !== undefined && { after }) }
}

/** Whether the request timed out, or failed in the network. */
const isOutage = (thrown: unknown, { originalCode = '' }: TidingsError) =>
  isSafely(() => thrown instanceof DOMException && thrown.name === 'TimeoutError') ||
  /^(ECONN|EPIPE$|ETIMEDOUT$|ENETUNREACH$|EHOSTUNREACH$|EAI_AGAIN$|UND_ERR_)/.test(originalCode)

const isApiCallError = (error: unknown): error is APICallError =>
  isSafely(() => APICallError.isInstance(error) && `${error.statusCode}${error.isRetryable}` !== '')

/** False if the test throws: a provider may throw a proxy, or an object whose getters throw. */
function isSafely(test: () => boolean): boolean {
  try {
    return test()
  } catch {
    return false
  }
}

/** A broken stream is retryable, unless the provider's own error says otherwise. */
function brokenStream(cause: unknown): unknown {
  if (isApiCallError(cause)) return cause
  const { message, originalCode } = toTidingsError(cause, 'E_MODEL_FAILED')
  return new TidingsError('E_MODEL_FAILED', message, { cause, originalCode, retryable: true })
}

/** In ms from now: `retry-after-ms`, or `retry-after`, which is seconds or an HTTP date. Source: RFC 9110, 10.2.3. */
function retryAfter(headers: Record<string, string> | undefined): number | undefined {
  const exact = headers?.['retry-after-ms']
  if (isDecimal(exact)) return Number(exact)
  const header = headers?.['retry-after']
  if (isDecimal(header)) return Number(header) * 1_000
  const ms = typeof header === 'string' ? Date.parse(header) - Date.now() : Number.NaN
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}

const isDecimal = (text: unknown) => typeof text === 'string' && /^\s*(\d+\.?\d*|\.\d+)\s*$/.test(text)
