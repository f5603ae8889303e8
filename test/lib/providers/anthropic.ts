import { createHash } from 'node:crypto'
import { argumentsOf, serve, type Provider, type ScriptedCall } from './serve.ts'

/** One answer of a scripted Messages API. The parts come in this order. */
export interface AnthropicReply {
  thinking?: string
  /** Thinking that only the provider can read. */
  redactedThinking?: string
  text?: string
  /** Other blocks, sent whole before the text. */
  blocks?: readonly ({ type: string } & Record<string, unknown>)[]
  /** What the text rests on. */
  citation?: object
  calls?: readonly ScriptedCall[]
  /** Default: `tool_use` where there are calls, else `end_turn`. */
  stop?: string
  usage?: { input: number; output: number; cacheRead?: number; cacheWrite?: number }
}

interface Block {
  type: string
  text?: string
  thinking?: string
  signature?: string
  data?: string
  id?: string
  tool_use_id?: string
}

interface Message {
  role: string
  content: Block[]
}

export interface AnthropicRequest {
  messages: Message[]
  thinking?: { type: string }
}

const signed = (thinking: string) =>
  `EqQB+${createHash('sha256').update(thinking).digest('base64')}/sk-${'Ab1_'.repeat(8)}`
const isThinking = ({ type }: Block) => type === 'thinking' || type === 'redacted_thinking'

/**
 * The Messages API, streaming, with what it refuses: thinking that is missing, changed or last; a call without its result
 * or the other way round; blank texts.
 */
export function anthropicServer(...replies: AnthropicReply[]): Promise<Provider<AnthropicRequest>> {
  const queue = [...replies]
  let ids = 0
  /** The thinking that came before each call. */
  const thoughts = new Map<string, readonly Block[]>()
  return serve<AnthropicRequest>(
    body => {
      const problem = problemOf(body, thoughts)
      if (problem) return problem
      const reply = queue.shift()
      if (!reply) return 'No reply is scripted for this request'
      const calls = (reply.calls ?? []).map(call => ({ ...call, id: call.id ?? `toolu_${++ids}` }))
      for (const { id } of calls) thoughts.set(id, blocksOf(reply).filter(isThinking))
      return eventsOf({ ...reply, calls })
    },
    message => ({ type: 'error', error: { type: 'invalid_request_error', message } }),
  )
}

const blocksOf = ({ thinking, redactedThinking, blocks = [], text }: AnthropicReply): Block[] => [
  ...(thinking === undefined ? [] : [{ type: 'thinking', thinking, signature: signed(thinking) }]),
  ...(redactedThinking === undefined ? [] : [{ type: 'redacted_thinking', data: redactedThinking }]),
  ...blocks,
  ...(text === undefined ? [] : [{ type: 'text', text }]),
]

function problemOf({ messages, thinking }: AnthropicRequest, thoughts: ReadonlyMap<string, readonly Block[]>) {
  const isThinkingOn = thinking !== undefined && thinking.type !== 'disabled'
  const last = messages.findLastIndex(({ role }) => role === 'assistant')
  for (const [i, { role, content }] of messages.entries()) {
    const at = `messages.${i}`
    if (content.length === 0) return `${at}: all messages must have non-empty content`
    if (content.some(({ type, text }) => type === 'text' && !text?.trim()))
      return `${at}: text content blocks must contain non-whitespace text`
    const uses = content.flatMap(block => (block.type === 'tool_use' ? [block.id!] : []))
    const results = (messages[i + 1]?.content ?? []).flatMap(({ tool_use_id: id }) => (id ? [id] : []))
    const missing = uses.filter(id => !results.includes(id))
    if (missing.length > 0)
      return `${at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}`
    const before = messages[i - 1]?.content.map(({ id }) => id) ?? []
    const foreign = content.find(({ type, tool_use_id: id }) => type === 'tool_result' && !before.includes(id))
    if (foreign) return `${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${foreign.tool_use_id}`
    if (role !== 'assistant') continue
    if (isThinking(content.at(-1)!)) return `${at}: The final block in an assistant message cannot be \`thinking\`.`
    for (const [j, block] of content.entries())
      if (block.type === 'thinking' && block.signature !== signed(block.thinking!))
        return `${at}.content.${j}: Invalid \`signature\` in \`thinking\` block`
    const thought = thoughts.get(uses[0] ?? '') ?? []
    if (!isThinkingOn || i !== last || thought.length === 0) continue
    if (!isThinking(content[0]!))
      return `${at}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${content[0]!.type}\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a thinking block`
    if (JSON.stringify(content.filter(isThinking)) !== JSON.stringify(thought))
      return `${at}: \`thinking\` or \`redacted_thinking\` blocks in the latest assistant message cannot be modified.`
  }
  return undefined
}

function eventsOf(reply: AnthropicReply & { calls: readonly (ScriptedCall & { id: string })[] }): object[] {
  const { calls, usage = { input: 1, output: 1 }, stop = calls.length > 0 ? 'tool_use' : 'end_turn' } = reply
  const blocks = [
    ...blocksOf(reply).map(block => [start(block), ...deltas(block, reply.citation)]),
    ...calls.map(call => [
      { content_block: { type: 'tool_use', id: call.id, name: call.name, input: {} } },
      ...(argumentsOf(call).match(/[^]{1,7}/g) ?? []).map(partial_json => ({
        delta: { type: 'input_json_delta', partial_json },
      })),
    ]),
  ]
  const tokens = {
    input_tokens: usage.input,
    cache_read_input_tokens: usage.cacheRead ?? 0,
    cache_creation_input_tokens: usage.cacheWrite ?? 0,
  }
  return [
    {
      type: 'message_start',
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'claude',
        content: [],
        stop_reason: null,
        usage: { ...tokens, output_tokens: 1 },
      },
    },
    { type: 'ping' },
    ...blocks.flatMap(([begin, ...more], index) => [
      { type: 'content_block_start', index, ...begin },
      ...more.map(each => ({ type: 'content_block_delta', index, ...each })),
      { type: 'content_block_stop', index },
    ]),
    {
      type: 'message_delta',
      delta: { stop_reason: stop, stop_sequence: null },
      usage: { output_tokens: usage.output },
    },
    { type: 'message_stop' },
  ]
}

function start(block: Block) {
  if (block.type === 'thinking') return { content_block: { type: 'thinking', thinking: '', signature: '' } }
  return { content_block: block.type === 'text' ? { type: 'text', text: '' } : block }
}

function deltas({ type, text, thinking, signature }: Block, citation: object | undefined): object[] {
  if (type === 'thinking')
    return [{ delta: { type: 'thinking_delta', thinking } }, { delta: { type: 'signature_delta', signature } }]
  if (type !== 'text' || !text) return []
  return [
    { delta: { type: 'text_delta', text } },
    ...(citation ? [{ delta: { type: 'citations_delta', citation } }] : []),
  ]
}
