import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4Prompt,
  type LanguageModelV4StreamPart,
} from '@ai-sdk/provider'
import { z } from 'zod'
import { agent, app, model, tool, type App } from '../../../src/index.ts'
import { postJson } from './caller.ts'
import { StatusError } from './http.ts'
import { agentNames, agents, modelTimeoutMs, runTool, toolTimeoutMs, type ModelReply, type ToolName } from './task.ts'

/**
 * The task on Tidings: five model agents, and straight-line code that calls them one after the other. `slots`: how much the model can do at once,
 * if the app shall know it. `admit`: how many tasks may be unfinished at once.
 */
export function tidingsApp(modelUrl: string, { slots, admit }: { slots?: number; admit?: number } = {}): App {
  const tools = Object.values(agents)
    .flat()
    .map(name =>
      tool(name, {
        description: 'Looks up.',
        input: z.object({ query: z.string() }),
        run: input => runTool(name, input),
        timeout: `${toolTimeoutMs}ms`,
        retry: { maxAttempts: 6, backoff: '100ms' },
        limit: 256,
      }),
    )
  const shared = model(languageModel(modelUrl), {
    name: 'm',
    timeout: `${modelTimeoutMs}ms`,
    ...(slots !== undefined && { limit: slots }),
  })
  const members = agentNames.map(name =>
    agent(name, {
      input: z.any(),
      model: shared,
      instructions: `You are the ${name}.`,
      tools: tools.filter(each => agents[name]!.includes(each.name as ToolName)),
    }),
  )
  const desk = agent('desk', {
    input: z.string(),
    ...(admit !== undefined && { maxUnfinished: admit }),
    async run(ctx, input) {
      let text: unknown = input
      for (const member of members) text = await ctx.call(member, text)
      return text
    },
  })
  return app({ name: 'chain', use: [...tools, ...members, desk], budget: { calls: Infinity, events: Infinity } })
}

/** The model server as a language model. */
const languageModel = (url: string): LanguageModelV4 => ({
  specificationVersion: 'v4',
  provider: 'bench',
  modelId: 'm',
  supportedUrls: {},
  doGenerate: () => Promise.reject(new Error('only streams')),
  async doStream({ prompt, tools = [], abortSignal }) {
    const isAnswered = prompt.some(message => message.role === 'tool')
    const body = { prompt: JSON.stringify(prompt), tools: isAnswered ? [] : tools.map(({ name }) => name) }
    const reply = await ask(`${url}/model`, body, abortSignal ?? new AbortController().signal)
    return { stream: ReadableStream.from(partsOf(reply, prompt)) }
  },
})

async function ask(url: string, body: object, signal: AbortSignal): Promise<ModelReply> {
  try {
    return (await postJson(url, body, signal)) as ModelReply
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    const { status: statusCode, retryAfterMs, message } = error
    const responseHeaders = retryAfterMs === undefined ? {} : { 'retry-after-ms': String(retryAfterMs) }
    throw new APICallError({ url, message, statusCode, responseHeaders, requestBodyValues: {}, isRetryable: true })
  }
}

function partsOf({ text, calls }: ModelReply, prompt: LanguageModelV4Prompt): LanguageModelV4StreamPart[] {
  const input = JSON.stringify({ query: JSON.stringify(prompt.at(-1)).slice(0, 400) })
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  }
  return [
    ...calls.map(toolName => ({ type: 'tool-call' as const, toolCallId: toolName, toolName, input })),
    ...(text === ''
      ? []
      : ([
          { type: 'text-start', id: '0' },
          { type: 'text-delta', id: '0', delta: text },
          { type: 'text-end', id: '0' },
        ] as const)),
    { type: 'finish', usage, finishReason: { unified: calls.length > 0 ? 'tool-calls' : 'stop', raw: undefined } },
  ]
}
