import { schemaOf, slices, type Answer, type Api, type Message } from './api.ts'

/** Responses of OpenAI. */
export const responses: Api = {
  name: 'responses',
  path: '/v1/responses',
  headers: secret => [
    ['authorization', `Bearer ${secret}`],
    ['openai-organization', 'org-trial'],
  ],
  request: ({ model, instructions, messages, tools, stream }) => ({
    model,
    instructions,
    input: messages.flatMap(written),
    tools: tools.map(name => ({
      type: 'function',
      name,
      description: `Calls ${name}.`,
      parameters: schemaOf(name),
      strict: false,
    })),
    store: false,
    ...(stream && { stream }),
  }),
  answer: answer => responseOf(answer, outputOf(answer)),
  events(answer, deltas) {
    let sequence_number = 0
    const at = (type: string, more: object) => ({
      event: type,
      data: { type, ...more, sequence_number: sequence_number++ },
    })
    const begun = { ...responseOf(answer, []), status: 'in_progress', usage: null, incomplete_details: null }
    const items = outputOf(answer).flatMap((item, output_index) => {
      const { id, type } = item as { id: string; type: string }
      const place = { item_id: id, output_index }
      const isText = type === 'message'
      const empty = isText ? { ...item, content: [], status: 'in_progress' } : { ...item, arguments: '' }
      const part = { type: 'output_text', annotations: [], logprobs: [] }
      const pieces = isText
        ? [
            at('response.content_part.added', { ...place, content_index: 0, part: { ...part, text: '' } }),
            ...deltas.map(delta => at('response.output_text.delta', { ...place, content_index: 0, delta, logprobs: [] })),
            at('response.output_text.done', { ...place, content_index: 0, text: answer.text, logprobs: [] }),
            at('response.content_part.done', { ...place, content_index: 0, part: { ...part, text: answer.text } }),
          ]
        : type === 'function_call'
          ? [
              ...slices((item as { arguments: string }).arguments, 7).map(delta =>
                at('response.function_call_arguments.delta', { ...place, delta }),
              ),
              at('response.function_call_arguments.done', {
                ...place,
                arguments: (item as { arguments: string }).arguments,
              }),
            ]
          : []
      return [
        at('response.output_item.added', { output_index, item: empty }),
        ...pieces,
        at('response.output_item.done', { output_index, item }),
      ]
    }) // biome-ignore format: the order of the events
    const end = answer.finish === 'length' ? 'response.incomplete' : 'response.completed'
    return [
      at('response.created', { response: begun }),
      at('response.in_progress', { response: begun }),
      ...items,
      at(end, { response: responseOf(answer, outputOf(answer)) }),
    ]
  },
  error: (status, message) => ({ error: { message, type: 'invalid_request_error', param: null, code: `e${status}` } }),
}

function outputOf({ id, text, calls, usage }: Answer): object[] {
  return [
    ...(usage.reasoning > 0 ? [{ id: `rs_${id}`, type: 'reasoning', summary: [] }] : []),
    ...(text === ''
      ? []
      : [
          {
            id: `msg_${id}`,
            type: 'message',
            status: 'completed',
            role: 'assistant',
            content: [{ type: 'output_text', text, annotations: [], logprobs: [] }],
          },
        ]),
    ...calls.map(call => ({
      id: `fc_${call.id}`,
      type: 'function_call',
      status: 'completed',
      call_id: call.id,
      name: call.name,
      arguments: call.input,
    })),
  ]
}

function responseOf({ id, model, finish, usage }: Answer, output: readonly object[]) {
  const isCut = finish === 'length'
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: 1_790_000_000,
    status: isCut ? 'incomplete' : 'completed',
    error: null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    model: `${model}-2026-05-01`,
    output,
    parallel_tool_calls: true,
    usage: {
      input_tokens: usage.input,
      input_tokens_details: { cached_tokens: usage.cached },
      output_tokens: usage.output,
      output_tokens_details: { reasoning_tokens: usage.reasoning },
      total_tokens: usage.input + usage.output,
    },
  }
}

function written(message: Message): object[] {
  if (message.role === 'user') return [{ role: 'user', content: [{ type: 'input_text', text: message.text }] }]
  if (message.role === 'assistant') return outputOf(message.answer)
  return message.results.map(({ id, text }) => ({ type: 'function_call_output', call_id: id, output: text }))
}
