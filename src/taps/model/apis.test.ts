import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anthropicMessages } from './anthropic.ts'
import type { ModelApi } from './model-api.ts'
import { ModelResponse, type ReadResponse } from './model-response.ts'
import { openaiChat } from './openai-chat.ts'
import { openaiEmbeddings } from './openai-embeddings.ts'
import { openaiResponses } from './openai-responses.ts'

/* Each protocol, by what its provider sends: shortened, with the fields that are read and some that are not. */

const sse = (...events: readonly (object | string)[]) =>
  events
    .map(event => {
      const data = typeof event === 'string' ? event : JSON.stringify(event)
      const type = typeof event === 'object' && 'type' in event ? `event: ${String(event.type)}\n` : ''
      return `${type}data: ${data}\n\n`
    })
    .join('')

function readAll(api: ModelApi, chunks: readonly Uint8Array[], headers: Record<string, string>): Promise<ReadResponse> {
  const response = new ModelResponse(api, headers)
  for (const chunk of chunks) response.push(Buffer.from(chunk))
  return new Promise(resolve => response.end(true, resolve))
}

const readStream = async (api: ModelApi, text: string) =>
  (await readAll(api, [Buffer.from(text)], { 'content-type': 'text/event-stream; charset=utf-8' })).read

const chatChunk = (delta: object, finish_reason: string | null = null, more: object = {}) => ({
  id: 'chatcmpl-7', object: 'chat.completion.chunk', created: 1_790_000_000, model: 'gpt-5.2-2026', ...more,
  choices: [{ index: 0, delta, logprobs: null, finish_reason }],
}) // biome-ignore format: one object

const chatStream = sse(
  chatChunk({ role: 'assistant', content: '', refusal: null }),
  chatChunk({ reasoning_content: 'Where is ' }),
  chatChunk({ reasoning_content: 'it?' }),
  chatChunk({ content: 'Ich sehe nach: Öffnung ' }),
  chatChunk({ content: '🦉.' }),
  chatChunk({ tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'search', arguments: '' } }] }),
  chatChunk({ tool_calls: [{ index: 0, function: { arguments: '{"q":' } }] }),
  chatChunk({ tool_calls: [{ index: 1, id: 'call_2', type: 'function', function: { name: 'clock', arguments: '' } }] }),
  chatChunk({ tool_calls: [{ index: 0, function: { arguments: '"open"}' } }] }),
  chatChunk({}, 'tool_calls'),
  { ...chatChunk({}), choices: [], usage: { prompt_tokens: 90, completion_tokens: 12, total_tokens: 102, prompt_tokens_details: { cached_tokens: 64 }, completion_tokens_details: { reasoning_tokens: 5 } } },
  '[DONE]',
) // biome-ignore format: one event a line

const chatAnswer = {
  model: 'gpt-5.2-2026',
  text: 'Ich sehe nach: Öffnung 🦉.',
  reasoning: 'Where is it?',
  toolCalls: [
    { toolCallId: 'call_1', toolName: 'search', input: { q: 'open' } },
    { toolCallId: 'call_2', toolName: 'clock', input: {} },
  ],
  finish: 'tool-calls',
  usage: { input: 90, output: 12, cached: 64, reasoning: 5 },
  response: { id: 'chatcmpl-7', modelId: 'gpt-5.2-2026', timestamp: '2026-09-21T14:13:20.000Z' },
}

const responsesOutput = [
  { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Think.' }] },
  { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'I look, “so”.', annotations: [] }] },
  { type: 'function_call', id: 'fc_1', call_id: 'call_9', name: 'search', arguments: '{"q":"open"}', status: 'completed' },
] // biome-ignore format: one item a line
const responsesBody = {
  id: 'resp_1', object: 'response', created_at: 1_790_000_000, status: 'completed', error: null, incomplete_details: null, model: 'gpt-5.2',
  output: responsesOutput,
  usage: { input_tokens: 20, input_tokens_details: { cached_tokens: 0 }, output_tokens: 8, output_tokens_details: { reasoning_tokens: 3 } },
} // biome-ignore format: one object
const responsesStream = sse(
  { type: 'response.created', response: { id: 'resp_1', status: 'in_progress', model: 'gpt-5.2', output: [] } },
  { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning', summary: [] } },
  { type: 'response.reasoning_summary_text.delta', output_index: 0, delta: 'Think.' },
  { type: 'response.output_item.added', output_index: 1, item: { type: 'message', role: 'assistant', content: [] } },
  { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'I look, ' },
  { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: '“so”.' },
  { type: 'response.output_item.added', output_index: 2, item: { type: 'function_call', call_id: 'call_9', name: 'search', arguments: '' } },
  { type: 'response.function_call_arguments.delta', output_index: 2, delta: '{"q":"open"}' },
  { type: 'response.completed', response: responsesBody },
) // biome-ignore format: one event a line
const responsesAnswer = {
  model: 'gpt-5.2',
  text: 'I look, “so”.',
  reasoning: 'Think.',
  toolCalls: [{ toolCallId: 'call_9', toolName: 'search', input: { q: 'open' } }],
  finish: 'tool-calls',
  usage: { input: 20, output: 8, cached: 0, reasoning: 3 },
  response: { id: 'resp_1', modelId: 'gpt-5.2', timestamp: '2026-09-21T14:13:20.000Z' },
}

const anthropicStream = sse(
  { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', content: [], model: 'claude-sonnet-5', stop_reason: null, usage: { input_tokens: 10, cache_creation_input_tokens: 4, cache_read_input_tokens: 100, output_tokens: 1 } } },
  { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
  { type: 'ping' },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Hm, ' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'tides.' } },
  { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'EqQB…' } },
  { type: 'content_block_stop', index: 0 },
  { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'I l' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'ook.' } },
  { type: 'content_block_stop', index: 1 },
  { type: 'content_block_start', index: 2, content_block: { type: 'tool_use', id: 'toolu_1', name: 'search', input: {} } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '' } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: '{"q": "ti' } },
  { type: 'content_block_delta', index: 2, delta: { type: 'input_json_delta', partial_json: 'de"}' } },
  { type: 'content_block_stop', index: 2 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 25 } },
  { type: 'message_stop' },
) // biome-ignore format: one event a line
const anthropicAnswer = {
  model: 'claude-sonnet-5',
  text: 'I look.',
  reasoning: 'Hm, tides.',
  toolCalls: [{ toolCallId: 'toolu_1', toolName: 'search', input: { q: 'tide' } }],
  finish: 'tool-calls',
  rawFinish: 'tool_use',
  usage: { input: 114, output: 25, cached: 100, cacheWrite: 4 },
  response: { id: 'msg_1', modelId: 'claude-sonnet-5' },
}

const streams = [
  { api: openaiChat, stream: chatStream, answer: chatAnswer },
  { api: openaiResponses, stream: responsesStream, answer: responsesAnswer },
  { api: anthropicMessages, stream: anthropicStream, answer: anthropicAnswer },
]

describe.each(streams)('a stream of $api.name', ({ api, stream, answer }) => {
  test('is read as an answer', async () => {
    expect(await readStream(api, stream)).toEqual({ answer, problem: undefined })
  })

  test('is read the same however its bytes are cut, with any line ends, and compressed', async () => {
    const plain = [stream, stream.replaceAll('\n', '\r\n'), stream.replace(/\n\n$/, '')]
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...plain),
        fc.boolean(),
        fc.array(fc.nat({ max: 4_000 })),
        async (text, isPacked, cuts) => {
          const bytes = isPacked ? gzipSync(text) : Buffer.from(text)
          const at = [0, ...cuts.filter(cut => cut < bytes.length).toSorted((a, b) => a - b), bytes.length]
          const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end))
          const headers = { 'content-type': 'text/event-stream', ...(isPacked && { 'content-encoding': 'gzip' }) }
          const { read, payload } = await readAll(api, chunks, headers)
          expect(read).toEqual({ answer, problem: undefined })
          expect(payload).toEqual({ bytes: bytes.length, sha256: expect.any(String) })
        },
      ),
      { numRuns: 60 },
    )
  })

  test('that breaks off says what came until then', async () => {
    const begun = await readStream(api, stream.slice(0, Math.floor(stream.length / 3)))
    expect(begun!.problem).toMatch(/ended before/)
    const isText =
      answer.text.startsWith(begun!.answer.text) && answer.reasoning.startsWith(begun!.answer.reasoning ?? '')
    expect(isText).toBe(true)
  })

  test('with events that are not of the protocol is read as far as possible, and kept', async () => {
    const odd = `: comment\n\ndata: {"never closed\n\ndata: 7\n\nid: 1\nretry: 5\n\n${stream}data: {"type":"later.event"}\n\n`
    const { read, payload } = await readAll(api, [Buffer.from(odd)], { 'content-type': 'text/event-stream' })
    expect(read!.answer).toEqual(answer)
    expect(payload.text).toBe(odd)
  })
})

test('an answer without a stream is the same', async () => {
  const message = {
    role: 'assistant', content: chatAnswer.text, reasoning_content: chatAnswer.reasoning, refusal: null, annotations: [],
    tool_calls: [
      { id: 'call_1', type: 'function', function: { name: 'search', arguments: '{"q":"open"}' } },
      { id: 'call_2', type: 'function', function: { name: 'clock', arguments: '' } },
    ],
  } // biome-ignore format: one object
  const usage = { prompt_tokens: 90, completion_tokens: 12, prompt_tokens_details: { cached_tokens: 64 }, completion_tokens_details: { reasoning_tokens: 5 } } // biome-ignore format: one object
  const body = { id: 'chatcmpl-7', created: 1_790_000_000, model: 'gpt-5.2-2026', choices: [{ index: 0, message, finish_reason: 'tool_calls' }], usage } // biome-ignore format: one object
  expect(openaiChat.answer(body)).toEqual({ answer: chatAnswer, problem: undefined })
  expect(openaiResponses.answer(responsesBody)).toEqual({ answer: responsesAnswer, problem: undefined })
  const content = [
    { type: 'thinking', thinking: 'Hm, tides.', signature: 'EqQB…' },
    { type: 'text', text: 'I look.' },
    { type: 'tool_use', id: 'toolu_1', name: 'search', input: { q: 'tide' } },
  ]
  const anthropic = { type: 'message', id: 'msg_1', model: 'claude-sonnet-5', content, stop_reason: 'tool_use', usage: { input_tokens: 10, cache_creation_input_tokens: 4, cache_read_input_tokens: 100, output_tokens: 25 } } // biome-ignore format: one object
  expect(anthropicMessages.answer(anthropic)).toEqual({ answer: anthropicAnswer, problem: undefined })
})

test('requests of all protocols are read as messages, instructions, tools and settings', () => {
  const png = `data:image/png;base64,${Buffer.from('pixels').toString('base64')}`
  const file = { mediaType: 'image/png', bytes: 6, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }
  const chat = openaiChat.asked({
    model: 'gpt-5.2', user: 'ann', stream: true, max_completion_tokens: 50, temperature: 0, stop: null, unknown: { a: 1 },
    tools: [{ type: 'function', function: { name: 'search', parameters: {} } }, { type: 'web_search' }],
    messages: [
      { role: 'system', content: 'You help.' },
      { role: 'user', content: [{ type: 'text', text: 'See ' }, { type: 'image_url', image_url: { url: png } }, { type: 'text', text: 'this.' }] },
      { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'search', arguments: '{"q":1}' } }] },
      { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: 'six' }] },
    ],
  }) // biome-ignore format: one object
  const turns = [
    { role: 'user', text: 'See this.', files: [file] },
    { role: 'assistant', toolCalls: [{ toolCallId: 'call_1', toolName: 'search', input: { q: 1 } }] },
    { role: 'tool', results: [{ toolCallId: 'call_1', output: 'six' }] },
  ]
  expect(chat).toEqual({
    model: 'gpt-5.2', instructions: 'You help.', messages: turns, tools: ['search'], isStream: true, user: 'ann',
    settings: { maxOutputTokens: 50, temperature: 0 },
  }) // biome-ignore format: one object
  const responses = openaiResponses.asked({
    model: 'gpt-5.2', instructions: 'You help.', previous_response_id: 'resp_0', store: true, max_output_tokens: 50,
    tools: [{ type: 'function', name: 'search', parameters: {} }],
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'See this.' }, { type: 'input_image', image_url: png }] },
      { type: 'reasoning', summary: [] },
      { type: 'function_call', call_id: 'call_1', name: 'search', arguments: '{"q":1}' },
      { type: 'function_call_output', call_id: 'call_1', output: 'six' },
    ],
  }) // biome-ignore format: one object
  expect(responses).toMatchObject({
    instructions: 'You help.',
    messages: turns,
    tools: ['search'],
    continues: 'resp_0',
    isKept: true,
  })
  const anthropic = anthropicMessages.asked({
    model: 'claude-sonnet-5', max_tokens: 50, metadata: { user_id: 'ann' }, system: [{ type: 'text', text: 'You help.', cache_control: { type: 'ephemeral' } }],
    tools: [{ name: 'search', input_schema: {} }],
    messages: [
      { role: 'user', content: [{ type: 'text', text: 'See this.' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: Buffer.from('pixels').toString('base64') } }] },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'call_1', name: 'search', input: { q: 1 } }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: [{ type: 'text', text: 'six' }] }] },
    ],
  }) // biome-ignore format: one object
  expect(anthropic).toMatchObject({ instructions: 'You help.', messages: turns, tools: ['search'], user: 'ann' })
})

test('how an answer ended', async () => {
  const chat = async (finish: string, delta: object = { content: 'a' }) =>
    (await readStream(openaiChat, sse(chatChunk(delta, finish))))!.answer
  expect(await chat('stop')).toMatchObject({
    finish: 'stop',
    warnings: [{ message: expect.stringContaining('include_usage') }],
  })
  expect(await chat('length')).toMatchObject({ finish: 'length' })
  expect(await chat('content_filter')).toMatchObject({ finish: 'content-filter', rawFinish: 'content_filter' })
  expect(await chat('stop', { refusal: 'No.' })).toMatchObject({
    text: 'No.',
    finish: 'content-filter',
    rawFinish: 'refusal',
  })
  expect(
    openaiResponses.answer({
      ...responsesBody,
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    }).answer,
  ).toMatchObject({ finish: 'length' })
  expect(
    openaiResponses.answer({ ...responsesBody, status: 'failed', error: { code: 'server_error', message: 'No.' } })
      .problem,
  ).toBe('No.')
  const stopped = (stop_reason: string) => anthropicMessages.answer({ content: [], stop_reason }).answer
  expect(stopped('refusal')).toMatchObject({ finish: 'content-filter', rawFinish: 'refusal' })
  expect(stopped('max_tokens')).toMatchObject({ finish: 'length' })
})

test('an error within a stream is the problem of the answer', async () => {
  const chat = await readStream(
    openaiChat,
    sse(chatChunk({ content: 'a' }), { error: { message: 'overloaded', type: 'server_error' } }),
  )
  expect([chat!.answer.text, chat!.problem]).toEqual(['a', 'overloaded'])
  const anthropic = await readStream(
    anthropicMessages,
    sse({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }),
  )
  expect(anthropic!.problem).toBe('Overloaded')
})

test('embeddings are counted, not kept', () => {
  const { answer } = openaiEmbeddings.answer({
    model: 'text-embedding-3',
    data: [{ embedding: [0.1, 0.2, 0.3] }],
    usage: { prompt_tokens: 4, total_tokens: 4 },
  })
  expect(answer).toMatchObject({ text: '1 embedding of 3 dimensions', usage: { input: 4, output: 0 } })
  expect(openaiEmbeddings.asked({ model: 'e', input: ['a', 'b'] }).messages).toEqual([
    { role: 'user', text: 'a' },
    { role: 'user', text: 'b' },
  ])
})

test('any JSON is read as a request and as an answer without an error', () => {
  const fields = [
    'messages',
    'input',
    'content',
    'choices',
    'output',
    'data',
    'usage',
    'tools',
    'model',
    'system',
    'error',
    'stop_reason',
    'tool_calls',
  ]
  const body = fc.dictionary(fc.constantFrom(...fields), fc.jsonValue({ maxDepth: 4 }))
  fc.assert(
    fc.property(body, fc.jsonValue(), (json, other) => {
      for (const api of [openaiChat, openaiResponses, openaiEmbeddings, anthropicMessages]) {
        api.asked(json)
        api.answer(json)
        const collector = api.collect?.()
        for (const each of [
          json,
          { ...json, choices: [{ delta: json }] },
          { type: 'content_block_delta', delta: json },
          other,
        ])
          collector?.add(JSON.stringify(each))
        collector?.read()
      }
    }),
    { numRuns: 300 },
  )
})
