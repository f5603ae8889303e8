import { argumentsOf, serve, type Provider, type ScriptedCall } from './serve.ts'

/** One answer of a scripted Responses API. */
export interface OpenAIReply {
  /** A summary of the reasoning; the reasoning itself comes encrypted where the request asks for it. */
  reasoning?: string
  text?: string
  refusal?: string
  calls?: readonly ScriptedCall[]
  /** Other items, sent whole. */
  items?: readonly object[]
  /** Why it is not complete: `max_output_tokens`, `content_filter`. The last call is cut off then. */
  incomplete?: string
  usage?: { input: number; output: number; cached?: number; reasoning?: number }
}

interface Item {
  type?: string
  id?: string
  role?: string
  call_id?: string
  encrypted_content?: string
}

export interface OpenAIRequest {
  input: Item[]
  store?: boolean
}

/**
 * The Responses API, streaming, with what it refuses: references to what it does not know or does not keep, reasoning
 * that is not followed by what followed it, encrypted reasoning that is not its own, calls without outputs and outputs
 * without calls.
 */
export function openaiResponsesServer(...replies: OpenAIReply[]): Promise<Provider<OpenAIRequest>> {
  const queue = [...replies]
  let ids = 0
  const known = new Set<string>()
  const encrypted = new Set<string>()
  return serve<OpenAIRequest>(
    body => {
      const problem = problemOf(body, known, encrypted)
      if (problem) return problem
      const reply = queue.shift()
      if (!reply) return 'No reply is scripted for this request'
      return eventsOf(reply, prefix => {
        const id = `${prefix}_${++ids}`
        known.add(id)
        if (prefix === 'gAAAAAB') encrypted.add(id)
        return id
      })
    },
    message => ({ error: { message, type: 'invalid_request_error', param: 'input', code: null } }),
  )
}

function problemOf({ input, store = true }: OpenAIRequest, known: ReadonlySet<string>, encrypted: ReadonlySet<string>) {
  const calls = new Set(input.flatMap(({ type, call_id: id }) => (type === 'function_call' && id ? [id] : [])))
  const outputs = new Set(input.flatMap(({ type, call_id: id }) => (type === 'function_call_output' && id ? [id] : [])))
  for (const id of outputs) if (!calls.has(id)) return `No tool call found for function call output with call_id ${id}.`
  for (const id of calls) if (!outputs.has(id)) return `No tool output found for function call ${id}.`
  for (const [i, item] of input.entries()) {
    const { type, id = '', encrypted_content: content } = item
    if (type === 'item_reference' && !(store && known.has(id)))
      return `Item with id '${id}' not found.${store ? '' : ' Items are not persisted when `store` is set to false.'}`
    if (content !== undefined && content !== null && !encrypted.has(content))
      return `The encrypted content for item ${id} could not be verified.`
    const isReasoning = type === 'reasoning' || (type === 'item_reference' && id.startsWith('rs_'))
    const next = input[i + 1]
    if (
      isReasoning &&
      !(next && (next.type === 'function_call' || next.role === 'assistant' || next.id?.startsWith('msg_')))
    )
      return `Item '${id}' of type 'reasoning' was provided without its required following item.`
  }
  return undefined
}

function eventsOf(reply: OpenAIReply, mint: (prefix: string) => string): object[] {
  const {
    reasoning,
    text,
    refusal,
    calls = [],
    items: others = [],
    incomplete,
    usage = { input: 1, output: 1 },
  } = reply
  const items: object[][] = []
  if (reasoning !== undefined) {
    const item = { id: mint('rs'), type: 'reasoning', encrypted_content: mint('gAAAAAB'), summary: [] }
    const at = { item_id: item.id, output_index: 0, summary_index: 0 }
    items.push([
      { type: 'response.output_item.added', output_index: 0, item: { ...item, encrypted_content: null } },
      { type: 'response.reasoning_summary_part.added', ...at },
      { type: 'response.reasoning_summary_text.delta', ...at, delta: reasoning },
      { type: 'response.reasoning_summary_part.done', ...at },
      {
        type: 'response.output_item.done',
        output_index: 0,
        item: { ...item, summary: [{ type: 'summary_text', text: reasoning }] },
      },
    ])
  }
  if (text !== undefined || refusal !== undefined) {
    const id = mint('msg')
    const at = { item_id: id, output_index: items.length, content_index: 0 }
    const item = { id, type: 'message', role: 'assistant', status: 'completed' }
    items.push([
      { type: 'response.output_item.added', output_index: items.length, item: { ...item, content: [] } },
      ...(text === undefined ? [] : [{ type: 'response.output_text.delta', ...at, delta: text }]),
      ...(refusal === undefined
        ? []
        : [
            { type: 'response.refusal.delta', ...at, delta: refusal },
            { type: 'response.refusal.done', ...at, refusal },
          ]),
      { type: 'response.output_item.done', output_index: items.length, item: { ...item, content: [] } },
    ])
  }
  for (const item of others) items.push([{ type: 'response.output_item.done', output_index: items.length, item }])
  for (const [n, call] of calls.entries()) {
    const output_index = items.length
    const item = { id: mint('fc'), type: 'function_call', call_id: call.id ?? mint('call'), name: call.name }
    const isCut = incomplete !== undefined && n === calls.length - 1
    items.push([
      { type: 'response.output_item.added', output_index, item: { ...item, arguments: '', status: 'in_progress' } },
      { type: 'response.function_call_arguments.delta', item_id: item.id, output_index, delta: argumentsOf(call) },
      ...(isCut
        ? []
        : [
            {
              type: 'response.output_item.done',
              output_index,
              item: { ...item, arguments: argumentsOf(call), status: 'completed' },
            },
          ]),
    ])
  }
  const response = {
    id: mint('resp'),
    model: 'gpt',
    created_at: 1_700_000_000,
    usage: {
      input_tokens: usage.input,
      input_tokens_details: { cached_tokens: usage.cached ?? 0 },
      output_tokens: usage.output,
      output_tokens_details: { reasoning_tokens: usage.reasoning ?? 0 },
    },
  }
  return [
    { type: 'response.created', response },
    ...items.flat(),
    incomplete === undefined
      ? { type: 'response.completed', response: { ...response, incomplete_details: null } }
      : { type: 'response.incomplete', response: { ...response, incomplete_details: { reason: incomplete } } },
  ].map((event, sequence_number) => ({ ...event, sequence_number }))
}
