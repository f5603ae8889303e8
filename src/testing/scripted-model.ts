import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { inspect } from 'node:util'
import { modelToolName } from '../tasks/offered-input.ts'
import { TidingsError, type ErrorCode } from '../errors.ts'
import type { ModelResult, ModelToolCall } from '../tasks/conversation.ts'

/** One answer of a scripted model: `reply`, `callTool`, `callTools` or `fail` makes it. */
export interface ModelStep extends Pick<ModelResult, 'text' | 'toolCalls' | 'finish' | 'rawFinish'> {
  /** The request fails with this error instead. */
  readonly error?: TidingsError
}

/** What a scripted model is asked. */
export interface ScriptedRequest {
  /** Name of the model. */
  readonly model: string
  /** The instructions of the agent. */
  readonly instructions: string
  /** The text of the newest message of the user. */
  readonly text: string
  /** Names of the tools that the model may call, with `_` instead of `.`. */
  readonly tools: readonly string[]
  /** All messages, as a provider gets them. */
  readonly prompt: LanguageModelV4CallOptions['prompt']
}

/** The answers of a model: a list, in the order in which they are given, or a function that answers each request. */
export type ModelScript = readonly ModelStep[] | ModelAnswers

/**
 * The model answers with a text, or with an object as JSON. `more`: how the answer ended, if not normally.
 * @example await given(helper, { input: 'When?' }).when(reply('On Sunday.')).emits([{ type: 'agent.task.completed' }])
 */
export const reply = (
  answer: string | object,
  more: Partial<Pick<ModelResult, 'finish' | 'rawFinish' | 'toolCalls'>> = {},
): ModelStep => ({
  text: typeof answer === 'string' ? answer : JSON.stringify(answer),
  toolCalls: [],
  finish: 'stop',
  ...more,
})

/**
 * The model calls a tool.
 * @example testApp(shop, { model: [callTool('notes.search', { query: 'open' }), reply('On Sunday.')] })
 */
export const callTool = (tool: string, input: unknown): ModelStep => callTools([tool, input])

/**
 * The model calls several tools at once.
 * @example callTools(['notes.search', { query: 'open' }], ['weather.now', { city: 'Oslo' }])
 */
export const callTools = (...calls: readonly (readonly [tool: string, input: unknown])[]): ModelStep => ({
  text: '',
  toolCalls: calls.map(([tool, input], i) => ({ toolCallId: `call-${i}`, toolName: modelToolName(tool), input })),
  finish: 'tool-calls',
})

/**
 * The request to the model fails. `retryable`: as if the provider were busy, so that the request is retried.
 * @example testApp(shop, { model: [fail('E_MODEL_FAILED', 'overloaded', { retryable: true }), reply('On Sunday.')] })
 */
export const fail = (code: ErrorCode, message: string = code, options: { retryable?: boolean } = {}): ModelStep => ({
  ...reply('', { finish: 'error' }),
  error: new TidingsError(code, message, options),
})

/** Answers one request of a scripted model. */
export type ModelAnswers = (request: ScriptedRequest) => ModelStep | Promise<ModelStep>

/** A model whose answers `answer` makes. */
export const scriptedModel = (name: string, answer: ModelAnswers): LanguageModelV4 => ({
  specificationVersion: 'v4',
  provider: 'scripted',
  modelId: name,
  supportedUrls: {},
  doGenerate: () => Promise.reject(new TidingsError('E_MODEL_FAILED', 'a scripted model only streams')),
  doStream: async options => {
    const step = await answer(requestOf(name, options))
    if (step.error) throw step.error
    return { stream: ReadableStream.from(partsOf(step)) }
  },
})

/** Gives the steps of a list one after the other. Once they are used up, requests fail. */
export function answersOf(script: ModelScript): ModelAnswers {
  if (typeof script === 'function') return script
  const left = [...script]
  return ({ model, text }) =>
    left.shift() ??
    fail(
      'E_MODEL_FAILED',
      `the script has ${script.length} steps, and the model "${model}" is asked once more: ${inspect(text)}. Add a step`,
    )
}

function requestOf(model: string, { prompt, tools = [] }: LanguageModelV4CallOptions): ScriptedRequest {
  const user = prompt.findLast(message => message.role === 'user')?.content ?? []
  return {
    model,
    instructions: prompt.flatMap(({ role, content }) => (role === 'system' ? [content] : [])).join('\n'),
    text: user.flatMap(part => (part.type === 'text' ? [part.text] : [])).join('\n'),
    tools: tools.map(({ name }) => name),
    prompt,
  }
}

let lastCall = 0

function partsOf({ text, toolCalls, finish, rawFinish }: ModelStep): LanguageModelV4StreamPart[] {
  return [
    ...(text === ''
      ? []
      : ([
          { type: 'text-start', id: '0' },
          { type: 'text-delta', id: '0', delta: text },
          { type: 'text-end', id: '0' },
        ] as const)),
    ...toolCalls.map(call => ({ type: 'tool-call', ...scripted(call) }) as const),
    {
      type: 'finish',
      usage: {
        inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 0, text: 0, reasoning: 0 },
      },
      finishReason: { unified: finish as 'stop', raw: rawFinish },
    },
  ]
}

/** The id of a call is unique in its conversation. */
const scripted = ({ toolName, input, malformed }: ModelToolCall) => ({
  toolCallId: `call-${++lastCall}`,
  toolName,
  input: malformed ?? JSON.stringify(input),
})
