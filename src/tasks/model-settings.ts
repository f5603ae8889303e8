import type { LanguageModelV4CallOptions, SharedV4ProviderOptions } from '@ai-sdk/provider'
import { aCount, aList, aNumber, anObject, must, oneOf, type Check } from '../options.ts'

/**
 * How a model answers, by the names of the AI SDK. What a provider does not support, it ignores with a warning, which `model.result` has.
 * Those of an agent come before those of `model()`.
 * @example agent('writer', { model, instructions: 'Write.', temperature: 0.2, maxOutputTokens: 4_000 })
 */
export interface ModelSettings {
  /** Maximum number of tokens of one answer. */
  maxOutputTokens?: number
  temperature?: number
  topP?: number
  topK?: number
  presencePenalty?: number
  frequencyPenalty?: number
  /** Texts at which the model stops. */
  stopSequences?: readonly string[]
  /** The same seed gives the same answers, with models that support it. */
  seed?: number
  /** How much the model thinks before it answers. */
  reasoning?: NonNullable<LanguageModelV4CallOptions['reasoning']>
  /** Options of single providers, by their name: `{ anthropic: { … }, openai: { … } }`. Stored on the log, so never secrets. */
  providerOptions?: SharedV4ProviderOptions
}

const aPenalty = must('a number', value => Number.isFinite(value))
const efforts = ['provider-default', 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const

export const settingChecks = {
  maxOutputTokens: aCount,
  temperature: aNumber,
  topP: aNumber,
  topK: aCount,
  presencePenalty: aPenalty,
  frequencyPenalty: aPenalty,
  stopSequences: aList,
  seed: must('a whole number', value => Number.isSafeInteger(value)),
  reasoning: oneOf(...efforts),
  providerOptions: anObject,
} satisfies Record<keyof ModelSettings, Check>

/** The settings among other options; undefined if there are none. Later ones come first. */
export function settingsIn(...options: readonly ModelSettings[]): ModelSettings | undefined {
  const names = Object.keys(settingChecks) as (keyof ModelSettings)[]
  const settings = options.flatMap(each =>
    names.flatMap(name => (each[name] === undefined ? [] : [[name, each[name]]])),
  )
  const providerOptions = mergedOptions(...options.map(each => each.providerOptions))
  return settings.length === 0
    ? undefined
    : { ...Object.fromEntries(settings), ...(providerOptions && { providerOptions }) }
}

export function mergedOptions(
  ...options: readonly (SharedV4ProviderOptions | undefined)[]
): SharedV4ProviderOptions | undefined {
  const merged: SharedV4ProviderOptions = {}
  for (const each of options)
    for (const [provider, own] of Object.entries(each ?? {})) merged[provider] = { ...merged[provider], ...own }
  return Object.keys(merged).length > 0 ? merged : undefined
}
