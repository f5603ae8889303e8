import { schemaOf, slices, type Answer, type Api, type Message } from './api.ts'

const finishes = { stop: 'stop', length: 'length', 'tool-calls': 'tool_calls' } as const

/** Chat completions of OpenAI. */
export const chat: Api = {
  name: 'chat',
  path: '/v1/chat/completions',
  headers: secret => [
    ['Authorization', `Bearer ${secret}`],
    ['X-Stainless-Lang', 'js'],
  ],
  request: ({ model, instructions, messages, tools, stream, streamUsage }) => ({
    model,
    messages: [{ role: 'system', content: instructions }, ...messages.flatMap(written)],
    ...(tools.length > 0 && {
      tools: tools.map(name => ({
        type: 'function',
        function: { name, description: `Calls ${name}.`, parameters: schemaOf(name) },
      })),
      parallel_tool_calls: true,
    }),
    temperature: 0.2,
    ...(stream && { stream, ...(streamUsage && { stream_options: { include_usage: true } }) }),
  }),
  answer: answer => ({
    id: answer.id,
    object: 'chat.completion',
    created: 1_790_000_000,
    model: `${answer.model}-2026-05-01`,
    choices: [
      { index: 0, message: { ...assistant(answer), refusal: null }, logprobs: null, finish_reason: finishes[answer.finish] },
    ],
    usage: usageOf(answer),
    service_tier: 'default',
    system_fingerprint: 'fp_44709d6fcb',
  }), // biome-ignore format: as it is sent
  events(answer, deltas, { streamUsage }) {
    const chunk = (delta: object, finish_reason: string | null = null) => ({
      data: {
        id: answer.id,
        object: 'chat.completion.chunk',
        created: 1_790_000_000,
        model: `${answer.model}-2026-05-01`,
        choices: [{ index: 0, delta, logprobs: null, finish_reason }],
        ...(streamUsage && { usage: null }),
      },
    })
    const { id, model } = answer
    return [
      chunk({ role: 'assistant', content: '', refusal: null }),
      ...deltas.map(content => chunk({ content })),
      ...callDeltas(answer).map(tool_calls => chunk({ tool_calls })),
      chunk({}, finishes[answer.finish]),
      ...(streamUsage
        ? [{ data: { id, object: 'chat.completion.chunk', model, choices: [], usage: usageOf(answer) } }]
        : []),
      { data: '[DONE]' },
    ]
  },
  error: (status, message) => ({
    error: { message, type: status === 429 ? 'requests' : 'invalid_request_error', param: null, code: `e${status}` },
  }),
}

/** Calls begin one after another; then the pieces of their arguments alternate, as those of parallel calls may. */
function callDeltas({ calls }: Answer): object[][] {
  const begun = calls.map(({ id, name }, index) => [{ index, id, type: 'function', function: { name, arguments: '' } }])
  const fragments = calls.map(({ input }) => slices(input, 7))
  const rounds = Math.max(0, ...fragments.map(({ length }) => length))
  return [
    ...begun,
    ...Array.from({ length: rounds }, (_, round) =>
      fragments.flatMap((own, index) => {
        const piece = own[round]
        return piece === undefined ? [] : [{ index, function: { arguments: piece } }]
      }),
    ),
  ]
}

const usageOf = ({ usage: { input, output, cached, reasoning } }: Answer) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: reasoning, audio_tokens: 0 },
})

const assistant = ({ text, calls }: Answer) => ({
  role: 'assistant',
  content: text === '' ? null : text,
  ...(calls.length > 0 && {
    tool_calls: calls.map(({ id, name, input }) => ({ id, type: 'function', function: { name, arguments: input } })),
  }),
})

function written(message: Message): object[] {
  if (message.role === 'user') return [{ role: 'user', content: message.text }]
  if (message.role === 'assistant') return [assistant(message.answer)]
  return message.results.map(({ id, text }) => ({ role: 'tool', tool_call_id: id, content: text }))
}
