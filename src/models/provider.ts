import type { LanguageModelV4 } from '@ai-sdk/provider'
import { TidingsError } from '../errors.ts'
import { offlineModel } from './offline/language-model.ts'

type ModelEnvironment = { readonly [name: string]: string | undefined }

/**
 * The model that `TIDINGS_MODEL` names: unset or `offline`, `openai/NAME`, `anthropic/NAME`, `google/NAME`, or the base URL
 * of a service with the OpenAI protocol and the model after a `#` (`http://localhost:11434/v1#qwen3`). Provider packages are
 * optional peers, loaded on demand. Only workers that host the model need its key: they call {@link assertKey}.
 * @throws E_MODEL_UNKNOWN
 * @example
 * const helper = agent('helper', { model: await modelFromEnvironment(), instructions: 'Answer in one sentence.' })
 */
export async function modelFromEnvironment(env: ModelEnvironment = process.env): Promise<LanguageModelV4> {
  const named = env.TIDINGS_MODEL?.trim() || 'offline'
  if (named === 'offline') return offlineModel()
  if (/^https?:\/\//.test(named)) return compatible(named, env.TIDINGS_MODEL_KEY)
  const [, provider, name] = /^(openai|anthropic|google)\/(.+)$/.exec(named) ?? []
  if (provider === 'openai' && name) return openai(name, env)
  if (provider === 'anthropic' && name) return anthropic(name, env)
  if (provider === 'google' && name) return google(name, env)
  throw new TidingsError(
    'E_MODEL_UNKNOWN',
    `unknown model "${named}" in TIDINGS_MODEL: expected openai/NAME, anthropic/NAME, google/NAME, URL#NAME or offline`,
  )
}

/** OpenAI with its default protocol; another base URL with chat completions, which other services implement. */
async function openai(name: string, env: ModelEnvironment): Promise<LanguageModelV4> {
  const apiKey = keyIn(env, 'OPENAI_API_KEY')
  const { createOpenAI } = await load('@ai-sdk/openai', () => import('@ai-sdk/openai'))
  const baseURL = env.OPENAI_BASE_URL
  const provider = createOpenAI({ apiKey, ...(baseURL && { baseURL }) })
  return markMissingKey('OPENAI_API_KEY', apiKey, baseURL ? provider.chat(name) : provider(name))
}

async function anthropic(name: string, env: ModelEnvironment): Promise<LanguageModelV4> {
  const apiKey = keyIn(env, 'ANTHROPIC_API_KEY')
  const { createAnthropic } = await load('@ai-sdk/anthropic', () => import('@ai-sdk/anthropic'))
  const baseURL = env.ANTHROPIC_BASE_URL
  return markMissingKey('ANTHROPIC_API_KEY', apiKey, createAnthropic({ apiKey, ...(baseURL && { baseURL }) })(name))
}

async function google(name: string, env: ModelEnvironment): Promise<LanguageModelV4> {
  const apiKey = keyIn(env, 'GOOGLE_GENERATIVE_AI_API_KEY')
  const { createGoogle } = await load('@ai-sdk/google', () => import('@ai-sdk/google'))
  return markMissingKey('GOOGLE_GENERATIVE_AI_API_KEY', apiKey, createGoogle({ apiKey })(name))
}

async function compatible(named: string, apiKey: string | undefined): Promise<LanguageModelV4> {
  const [, baseURL = '', name = ''] = /^([^#]*)#(.+)$/s.exec(named) ?? []
  if (!URL.canParse(baseURL))
    throw new TidingsError(
      'E_MODEL_UNKNOWN',
      `TIDINGS_MODEL is "${named}": expected a base URL and the name of the model, as in http://localhost:11434/v1#qwen3`,
    )
  const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible', () => import('@ai-sdk/openai-compatible'))
  const settings = { baseURL, name: new URL(baseURL).hostname, includeUsage: true, supportsStructuredOutputs: true }
  return createOpenAICompatible(apiKey ? { ...settings, apiKey } : settings)(name)
}

// The variable of each model whose key is missing. A registered symbol, because the app may have its own copy of Tidings.
const missingKey = Symbol.for('tidings.missingKey')

const keyIn = (env: ModelEnvironment, variable: string): string => env[variable]?.trim() ?? ''

const markMissingKey = (variable: string, apiKey: string, model: LanguageModelV4): LanguageModelV4 =>
  apiKey === '' ? Object.defineProperty(model, missingKey, { value: variable }) : model

/** Checks that the key of a model that this process hosts is set. @throws E_MODEL_KEY */
export function assertKey(model: LanguageModelV4): void {
  const variable = (model as { [missingKey]?: string })[missingKey]
  if (variable !== undefined)
    throw new TidingsError('E_MODEL_KEY', `${variable} is not set; the model '${model.modelId}' needs it`)
}

async function load<T>(name: string, importing: () => Promise<T>): Promise<T> {
  try {
    return await importing()
  } catch (cause) {
    throw new TidingsError('E_MODEL_UNKNOWN', `the package ${name} cannot be loaded: run npm install ${name}`, {
      cause,
    })
  }
}
