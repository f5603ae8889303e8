import type { LanguageModelV4 } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import { aCount, aDuration, aFlag, anObject, aNumber, aText, checkOptions, optionsOf, type Check } from '../options.ts'
import type { Duration } from '../tasks/duration.ts'
import { aRetry, RetryPolicy, type RetryOptions } from '../tasks/retry.ts'
import { modelName } from '../tasks/conversation.ts'
import { offlineProvider } from './offline/language-model.ts'

export interface ModelOptions {
  /** Under which it is addressed. Default: provider and model id. */
  name?: string
  /** Most requests at once, over all workers of the log. */
  limit?: number
  /** Most requests per duration in each process. */
  rate?: { count: number; per: Duration }
  /** Of one request, from its start. Default five minutes. */
  timeout?: Duration
  /** When the provider is busy or away, or the stream breaks. Default: retried for 15 minutes. */
  retry?: RetryOptions
  /** Price per million tokens, in your currency: gives `cost` on `model.result`. */
  price?: { input: number; output: number }
  /** Asking it changes and costs nothing: a redrive or a fork may ask it without being told so. True of the offline model. */
  readOnly?: boolean
}

/** A model object with its limits and its price. */
export interface Model {
  readonly kind: 'model'
  readonly name: string
  readonly languageModel: LanguageModelV4
  readonly options: ModelOptions
}

const checks = {
  name: aText,
  limit: aCount,
  rate: optionsOf({ count: aCount, per: aDuration }),
  timeout: aDuration,
  retry: aRetry,
  price: optionsOf({ input: aNumber, output: aNumber }),
  readOnly: aFlag,
} satisfies Record<keyof ModelOptions, Check>

/** Gives a model object limits, a price or a name of its own. Agents also take the bare object. */
export function model(languageModel: LanguageModelV4, options: ModelOptions = {}): Model {
  const missing = anObject(languageModel)
  if (missing) throw new TidingsError('E_APP_INVALID', `model(): the first argument ${missing}`)
  const name = options.name ?? modelName(languageModel)
  checkOptions(`model "${name}"`, options, checks, [])
  if (options.retry) modelRetryPolicy(name, options.retry)
  const readOnly = options.readOnly ?? languageModel.provider === offlineProvider
  return {
    kind: 'model',
    name,
    languageModel,
    options: { ...options, readOnly },
  }
}

/** Providers are away for minutes at a time. */
export const modelRetryPolicy = (name: string, options: RetryOptions = {}) =>
  new RetryPolicy(`model ${name}`, { retryFor: '15m', ...options })
