import type { LanguageModelV4 } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import { aCount, aDuration, aFlag, anObject, aNumber, aText, checkOptions, optionsOf, type Check } from '../options.ts'
import type { Duration } from '../tasks/duration.ts'
import { settingChecks, type ModelSettings } from '../tasks/model-settings.ts'
import { aRetry, type RetryOptions } from '../tasks/retry.ts'
import { modelName } from '../tasks/conversation.ts'
import { offlineProvider } from './offline/language-model.ts'

/** How requests to a model are limited, retried and named, and its default settings. */
export interface ModelOptions extends ModelSettings {
  /** The name by which it is called. Default: provider and model id. */
  name?: string
  /** Maximum number of requests at once, over all workers of the log. */
  limit?: number
  /** Maximum number of requests per duration in each process. */
  rate?: { count: number; per: Duration }
  /** Maximum time of one request. Default five minutes. */
  timeout?: Duration
  /** How to retry when the provider is busy or unavailable, or the stream breaks. Default: for 15 minutes. */
  retry?: RetryOptions
  /** Price per million tokens, in your currency. Adds `cost` to `model.result`. */
  price?: { input: number; output: number }
  /** Has no effects and no cost, so redrives and forks may call it by default. True for the offline model. */
  readOnly?: boolean
}

/** What `model()` returns: a language model under a name that agents call. */
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
  ...settingChecks,
} satisfies Record<keyof ModelOptions, Check>

/**
 * Adds limits, settings, a price or a name to a model object. Agents also accept the model object itself.
 * @example
 * import { model } from 'tidings'
 * import { openai } from '@ai-sdk/openai'
 * const writer = model(openai('gpt-5.2'), { limit: 4, timeout: '2m', price: { input: 1.25, output: 10 } })
 */
export function model(languageModel: LanguageModelV4, options: ModelOptions = {}): Model {
  const missing = anObject(languageModel)
  if (missing) throw new TidingsError('E_APP_INVALID', `model(): the first argument ${missing}`)
  const name = options.name ?? modelName(languageModel)
  checkOptions(`model "${name}"`, options, checks, [])
  const readOnly = options.readOnly ?? languageModel.provider === offlineProvider
  return { kind: 'model', name, languageModel, options: { ...options, readOnly } }
}
