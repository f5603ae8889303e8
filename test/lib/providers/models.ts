import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogle } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import type { LanguageModelV4 } from '@ai-sdk/provider'
import { defaultSettingsMiddleware, wrapLanguageModel } from 'ai'
import { z } from 'zod'
import { agent } from '../../../src/agents/agent.ts'
import type { ModelAgentOptions } from '../../../src/agents/agent-options.ts'
import type { AppOptions } from '../../../src/runtime/app.ts'
import type { ModelResult } from '../../../src/tasks/conversation.ts'
import { tool } from '../../../src/tools/tool.ts'
import { ended, eventsOf, type World } from '../world.ts'

type ProviderOptions = NonNullable<Parameters<LanguageModelV4['doStream']>[0]['providerOptions']>

/** The model as its user sets it up. */
const withOptions = (model: LanguageModelV4, providerOptions: ProviderOptions) =>
  wrapLanguageModel({ model, middleware: defaultSettingsMiddleware({ settings: { providerOptions } }) })

const thinks = { thinking: { type: 'enabled', budgetTokens: 1_024 } } as const

export const models = {
  anthropic: (url: string) =>
    withOptions(createAnthropic({ apiKey: 'k', baseURL: url })('claude-sonnet-4-5'), { anthropic: thinks }),
  google: (url: string) => createGoogle({ apiKey: 'k', baseURL: url })('gemini-3-pro-preview'),
  openai: (url: string, store = true) =>
    withOptions(createOpenAI({ apiKey: 'k', baseURL: url })('gpt-5'), { openai: { store, reasoningSummary: 'auto' } }),
  compatible: (url: string) => createOpenAICompatible({ name: 'deep', baseURL: url, includeUsage: true })('reasoner'),
}

interface Walk extends Omit<AppOptions, 'use'> {
  /** More options of the agent. */
  readonly agent?: Partial<ModelAgentOptions<unknown>>
}

/** Runs an agent that has one tool to its end: what it came to, and all that happened. */
export async function walk(world: World, model: LanguageModelV4, { agent: options, ...more }: Walk = {}) {
  const step = tool('step', { description: 'Goes on.', input: z.object({ n: z.number() }), run: ({ n }) => ({ n }) })
  const walker = agent('walker', { on: 'go', model, instructions: 'Walk.', tools: [step], ...options })
  const worker = await world.worker({ use: [walker, step], ...more })
  const { correlationid, id } = await worker.bus.publish({ type: 'go', data: 'Go.' })
  const done = await ended(worker, correlationid, id, 30_000)
  const events = await Promise.all((await eventsOf(worker, done.correlationid)).map(event => worker.bus.resolve(event)))
  const results = events.filter(({ type }) => type === 'model.result').map(({ data }) => data as ModelResult)
  return { done, events, results, worker, walker }
}
