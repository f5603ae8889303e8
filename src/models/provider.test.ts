import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { APICallError, InvalidResponseDataError } from '@ai-sdk/provider'
import { jsonSchema, NoOutputGeneratedError, streamText, tool } from 'ai'
import { describe, expect, test } from 'vitest'
import { openaiServer, type Reply } from '../testing/openai-server.ts'
import { modelName } from '../tasks/conversation.ts'
import { assertKey, modelFromEnvironment } from './provider.ts'

const inputSchema = { type: 'object' as const, properties: { q: { type: 'string' as const } }, required: ['q'] }
const call: LanguageModelV4CallOptions = {
  prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
  tools: [{ type: 'function', name: 'look_up', inputSchema }],
}

describe('modelFromEnvironment', () => {
  test.each([[{}], [{ TIDINGS_MODEL: 'offline' }], [{ TIDINGS_MODEL: ' ' }]])('is offline for %j', async env => {
    expect(await modelFromEnvironment(env)).toMatchObject({ provider: 'tidings', modelId: 'offline-extractive' })
  })

  test.each([
    [{ TIDINGS_MODEL: 'openai/gpt-5', OPENAI_API_KEY: 'k' }, 'openai.responses', 'gpt-5'],
    [{ TIDINGS_MODEL: 'openai/m', OPENAI_API_KEY: 'k', OPENAI_BASE_URL: 'http://localhost:1/v1' }, 'openai.chat', 'm'],
    [{ TIDINGS_MODEL: 'anthropic/claude-5', ANTHROPIC_API_KEY: 'k' }, 'anthropic.messages', 'claude-5'],
    [{ TIDINGS_MODEL: 'google/gemini-3', GOOGLE_GENERATIVE_AI_API_KEY: 'k' }, 'google.generative-ai', 'gemini-3'],
    [{ TIDINGS_MODEL: 'http://localhost:11434/v1#qwen3:8b' }, 'localhost.chat', 'qwen3:8b'],
  ])('builds a model object from %j', async (env, provider, modelId) => {
    expect(await modelFromEnvironment(env)).toMatchObject({ specificationVersion: 'v4', provider, modelId })
  })

  test.each([
    [{ TIDINGS_MODEL: 'openai/gpt-5' }, { OPENAI_API_KEY: 'k' }, 'OPENAI_API_KEY'],
    [{ TIDINGS_MODEL: 'anthropic/claude-5', ANTHROPIC_API_KEY: ' ' }, { ANTHROPIC_API_KEY: 'k' }, 'ANTHROPIC_API_KEY'],
    [{ TIDINGS_MODEL: 'google/gemini-3' }, { GOOGLE_GENERATIVE_AI_API_KEY: 'k' }, 'GOOGLE_GENERATIVE_AI_API_KEY'],
  ])('of %j without its key has the same name, and cannot be hosted', async (env, key, variable) => {
    const [without, complete] = [await modelFromEnvironment(env), await modelFromEnvironment({ ...env, ...key })]
    expect(modelName(without)).toBe(modelName(complete))
    expect(() => assertKey(without)).toThrow(
      expect.objectContaining({ code: 'E_MODEL_KEY', message: expect.stringContaining(variable) }),
    )
    expect(() => assertKey(complete)).not.toThrow()
  })

  test.each([
    [{ TIDINGS_MODEL: 'gpt-5' }, 'E_MODEL_UNKNOWN', 'gpt-5'],
    [{ TIDINGS_MODEL: 'openai/' }, 'E_MODEL_UNKNOWN', 'openai/'],
    [{ TIDINGS_MODEL: 'http://localhost:11434/v1' }, 'E_MODEL_UNKNOWN', 'v1#qwen3'],
    [{ TIDINGS_MODEL: 'http://[/v1#m' }, 'E_MODEL_UNKNOWN', 'http://['],
  ])('refuses %j', async (env, code, text) => {
    await expect(modelFromEnvironment(env)).rejects.toMatchObject({ code, message: expect.stringContaining(text) })
  })

  test.each([
    ['openai', { TIDINGS_MODEL: 'openai/m', OPENAI_API_KEY: 'secret' }],
    ['compatible', { TIDINGS_MODEL_KEY: 'secret' }],
  ])('talks to a server over HTTP: %s', async (kind, env) => {
    await using server = await openaiServer({ text: 'Good evening', usage: { prompt: 5, completion: 2 } })
    const url = kind === 'openai' ? { OPENAI_BASE_URL: server.url } : { TIDINGS_MODEL: `${server.url}#m` }
    const { parts } = await run(await modelFromEnvironment({ ...env, ...url }))
    expect(parts.map(part => (part.type === 'text-delta' ? part.delta : '')).join('')).toBe('Good evening')
    expect(parts.at(-1)).toMatchObject({
      finishReason: { unified: 'stop' },
      usage: { inputTokens: { total: 5 }, outputTokens: { total: 2 } },
    })
    expect(server.requests[0]).toMatchObject({
      headers: { authorization: 'Bearer secret' },
      body: { model: 'm', stream: true, tools: [{ function: { name: 'look_up' } }] },
    })
    expect(await server.requests[0]?.outcome).toBe('sent')
  })
})

/** What a step looks like that is run by `doStream`: the parts before its end, and what was thrown. */
async function run(model: LanguageModelV4, options: Partial<LanguageModelV4CallOptions> = {}) {
  const parts: LanguageModelV4StreamPart[] = []
  try {
    const { stream } = await model.doStream({ ...call, ...options })
    for await (const part of stream) parts.push(part)
    return { parts, thrown: undefined }
  } catch (thrown) {
    return { parts, thrown }
  }
}

async function reply(script: Reply, variant: 'compatible' | 'openai' = 'compatible') {
  await using server = await openaiServer(script)
  const openai = { TIDINGS_MODEL: 'openai/m', OPENAI_API_KEY: 'k', OPENAI_BASE_URL: server.url }
  return await run(await modelFromEnvironment(variant === 'openai' ? openai : { TIDINGS_MODEL: `${server.url}#m` }))
}

const types = (parts: readonly { type: string }[]) => [...new Set(parts.map(part => part.type))]

/** The facts on which the running of a model step rests. */
describe('how doStream reports', () => {
  test('a tool call: fragments first, then the whole, its input still a string', async () => {
    const { parts } = await reply({ toolCalls: [{ name: 'look_up', arguments: { q: 'a longer query' } }] })
    expect(types(parts).slice(2)).toEqual([
      'tool-input-start',
      'tool-input-delta',
      'tool-input-end',
      'tool-call',
      'finish',
    ])
    expect(parts.at(-2)).toMatchObject({ toolCallId: 'call_1', toolName: 'look_up', input: '{"q":"a longer query"}' })
    expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'tool-calls' } })
  })

  test('malformed tool arguments: an ordinary tool call and a good finish; the caller parses', async () => {
    const { parts, thrown } = await reply({ toolCalls: [{ name: 'look_up', arguments: '{"q": "unclosed' }] })
    expect(thrown).toBeUndefined()
    expect(parts.at(-2)).toMatchObject({ type: 'tool-call', input: '{"q": "unclosed' })
    expect(parts.at(-1)).toMatchObject({ finishReason: { unified: 'tool-calls' } })
  })

  test.each([
    [429, true],
    [500, true],
    [400, false],
    [401, false],
  ])('status %i: rejects at once with an APICallError, and does not retry', async (status, isRetryable) => {
    await using server = await openaiServer({ status, retryAfter: 7 }, { text: 'not reached' })
    const { thrown } = await run(await modelFromEnvironment({ TIDINGS_MODEL: `${server.url}#m` }))
    expect(APICallError.isInstance(thrown)).toBe(true)
    expect(thrown).toMatchObject({ statusCode: status, isRetryable, responseHeaders: { 'retry-after': '7' } })
    expect(server.requests).toHaveLength(1)
  })

  test.each(['compatible', 'openai'] as const)(
    'a torn connection: the stream throws, no finish (%s)',
    async variant => {
      const { parts, thrown } = await reply({ text: 'one two three four', cutAfter: 3 }, variant)
      expect(APICallError.isInstance(thrown)).toBe(true)
      expect(thrown).toMatchObject({ statusCode: 200, isRetryable: true, cause: { message: 'terminated' } })
      expect(types(parts)).not.toContain('finish')
    },
  )

  test('an answer that ends early in good order: an error part, then a finish for the reason error', async () => {
    const { parts, thrown } = await reply({ text: 'one two three four', endAfter: 3 })
    expect(thrown).toBeUndefined()
    expect(parts.at(-2)).toMatchObject({ type: 'error', error: expect.any(InvalidResponseDataError) })
    expect(parts.at(-1)).toMatchObject({ type: 'finish', finishReason: { unified: 'error' } })
  })

  test('the same from @ai-sdk/openai: no error part, only a finish for the reason interrupted', async () => {
    const { parts, thrown } = await reply({ text: 'one two three four', endAfter: 3 }, 'openai')
    expect(thrown).toBeUndefined()
    expect(types(parts)).not.toContain('error')
    expect(parts.at(-1)).toMatchObject({ type: 'finish', finishReason: { unified: 'interrupted' } })
  })

  test.each(['compatible', 'openai'] as const)('a cut tool call looks whole until the finish (%s)', async variant => {
    const script = { toolCalls: [{ name: 'look_up', arguments: { q: 'a longer query' } }], endAfter: 3 }
    const { parts } = await reply(script, variant)
    expect(parts).toContainEqual(expect.objectContaining({ type: 'tool-call', input: '{"q":"a' }))
    const finish = parts.at(-1)
    expect(finish?.type === 'finish' && ['error', 'interrupted'].includes(finish.finishReason.unified)).toBe(true)
  })

  test.each(['compatible', 'openai'] as const)('an error event: its bare object, then a finish (%s)', async variant => {
    const { parts } = await reply({ text: 'one two three four', errorAfter: 3 }, variant)
    expect(parts).toContainEqual({ type: 'error', error: expect.objectContaining({ message: 'Scripted failure' }) })
    expect(parts.at(-1)).toMatchObject({ type: 'finish', finishReason: { unified: 'error' } })
  })

  test('an abort: the stream throws the reason, and the server sees the connection go', async () => {
    const abort = new AbortController()
    await using server = await openaiServer({
      text: 'one two three',
      before: i => i === 2 && abort.abort(new Error('enough')),
    })
    const model = await modelFromEnvironment({ TIDINGS_MODEL: `${server.url}#m` })
    const { thrown } = await run(model, { abortSignal: abort.signal })
    expect(thrown).toBeInstanceOf(Error)
    expect(await server.requests[0]?.outcome).toBe('lost')
  })

  test('a server that is not there: an APICallError without a status, retryable', async () => {
    const { thrown } = await run(await modelFromEnvironment({ TIDINGS_MODEL: 'http://127.0.0.1:1/v1#m' }))
    expect(thrown).toMatchObject({ name: 'AI_APICallError', statusCode: undefined, isRetryable: true })
  })
})

/** For comparison; a step is run by `doStream`, which says the same more directly. */
describe('how streamText reports', () => {
  async function step(script: Reply) {
    await using server = await openaiServer(script)
    const result = streamText({
      model: await modelFromEnvironment({ TIDINGS_MODEL: `${server.url}#m` }),
      prompt: 'Hello',
      tools: { look_up: tool({ inputSchema: jsonSchema(inputSchema) }) },
      maxRetries: 0,
      onError: () => undefined,
    })
    const parts: { type: string; [name: string]: unknown }[] = []
    try {
      for await (const part of result.stream) parts.push(part)
      return { result, parts, thrown: undefined }
    } catch (thrown) {
      return { result, parts, thrown }
    }
  }

  test('status 429: an error part; the promises reject with something else', async () => {
    const { result, parts } = await step({ status: 429, retryAfter: 7 })
    expect(parts.at(-1)).toMatchObject({ error: { statusCode: 429, responseHeaders: { 'retry-after': '7' } } })
    await expect(result.text).rejects.toBeInstanceOf(NoOutputGeneratedError)
  })

  test('malformed tool arguments: a tool call marked invalid, and a tool-error', async () => {
    const { parts } = await step({ toolCalls: [{ name: 'look_up', arguments: '{"q": "unclosed' }] })
    expect(parts).toContainEqual(
      expect.objectContaining({ type: 'tool-call', invalid: true, input: '{"q": "unclosed' }),
    )
    expect(types(parts)).toContain('tool-error')
  })

  test('a torn connection: the stream throws', async () => {
    expect((await step({ text: 'one two three four', cutAfter: 3 })).thrown).toMatchObject({ name: 'AI_APICallError' })
  })

  test('an answer that ends early: an error part, and a text that looks whole', async () => {
    const { result, parts } = await step({ text: 'one two three four', endAfter: 3 })
    expect(types(parts)).toContain('error')
    expect(await result.text).toBe('one two ')
    expect(await result.finishReason).toBe('error')
  })
})
