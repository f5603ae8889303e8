import { schemaOf, slices, type Answer, type Api, type Message } from './api.ts'
import type { StreamEvent } from './framing.ts'

const finishes = { stop: 'end_turn', length: 'max_tokens', 'tool-calls': 'tool_use' } as const

/** Messages of Anthropic. */
export const messages: Api = {
  name: 'messages',
  path: '/v1/messages',
  headers: secret => [
    ['x-api-key', secret],
    ['anthropic-version', '2023-06-01'],
    ['anthropic-beta', 'fine-grained-tool-streaming-2025-05-14'],
  ],
  request: ({ model, instructions, messages: list, tools, stream }) => ({
    model,
    max_tokens: 1024,
    system: [{ type: 'text', text: instructions, cache_control: { type: 'ephemeral' } }],
    messages: list.map(written),
    ...(tools.length > 0 && {
      tools: tools.map(name => ({ name, description: `Calls ${name}.`, input_schema: schemaOf(name) })),
    }),
    ...(stream && { stream }),
  }),
  answer: answer => ({
    ...headOf(answer),
    content: blocksOf(answer),
    stop_reason: finishes[answer.finish],
    usage: { ...inputTokens(answer), output_tokens: answer.usage.output },
  }),
  events(answer, deltas) {
    const at = (type: string, more: object = {}): StreamEvent => ({ event: type, data: { type, ...more } })
    const parts = [
      ...(answer.text === ''
        ? []
        : [{ begun: textBlock(''), pieces: deltas.map(text => ({ type: 'text_delta', text })) }]),
      ...answer.calls.map(call => ({
        begun: toolBlock({ ...call, input: '{}' }),
        pieces: slices(call.input, 9).map(partial_json => ({ type: 'input_json_delta', partial_json })),
      })),
    ]
    const blocks = parts.flatMap(({ begun, pieces }, index) => [
      at('content_block_start', { index, content_block: begun }),
      ...pieces.map(delta => at('content_block_delta', { index, delta })),
      at('content_block_stop', { index }),
    ])
    return [
      at('message_start', { message: { ...headOf(answer), usage: { ...inputTokens(answer), output_tokens: 1 } } }),
      at('ping'),
      ...blocks,
      at('message_delta', {
        delta: { stop_reason: finishes[answer.finish], stop_sequence: null },
        usage: { output_tokens: answer.usage.output },
      }),
      at('message_stop'),
    ]
  },
  error: (status, message) => ({
    type: 'error',
    error: { type: status === 529 ? 'overloaded_error' : 'api_error', message },
    request_id: `req_${status}`,
  }),
}

const headOf = ({ id, model }: Answer) => ({
  id: `msg_${id}`,
  type: 'message',
  role: 'assistant',
  model: `${model}-20260501`,
  content: [],
  stop_reason: null,
  stop_sequence: null,
})

/** What was read from the cache is not among the input tokens. */
const inputTokens = ({ usage: { input, cached } }: Answer) => ({
  input_tokens: input - cached,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cached,
  service_tier: 'standard',
})

const textBlock = (text: string) => ({ type: 'text', text })

const toolBlock = ({ id, name, input }: Answer['calls'][number]) => ({
  type: 'tool_use',
  id: `toolu_${id}`,
  name,
  input: parsed(input),
})

const blocksOf = ({ text, calls }: Answer): object[] => [
  ...(text === '' ? [] : [textBlock(text)]),
  ...calls.map(toolBlock),
]

function parsed(input: string): unknown {
  try {
    return JSON.parse(input)
  } catch {
    return {}
  }
}

function written(message: Message): object {
  if (message.role === 'user') return { role: 'user', content: message.text }
  if (message.role === 'assistant') return { role: 'assistant', content: blocksOf(message.answer) }
  return {
    role: 'user',
    content: message.results.map(({ id, text }) => ({
      type: 'tool_result',
      tool_use_id: `toolu_${id}`,
      content: text,
    })),
  }
}
