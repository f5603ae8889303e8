import type { TappedMessage } from '../../tasks/tapped-model.ts'
import { AnswerBuilder } from './answer-builder.ts'
import { countIn, listIn, objectIn, parseObject, pick, textIn, type JsonObject } from '../json-read.ts'
import { joinedText, message, recordedToolCall, toolResult } from './messages.ts'
import { providerMessage, type AskedModel, type ModelApi, type ReadAnswer, type StreamCollector } from './model-api.ts'

/* Source: https://docs.claude.com/en/api/messages, and messages-streaming. */

export const anthropicMessages: ModelApi = {
  name: 'anthropic.messages',
  path: /\/messages$/,
  asked,
  answer,
  collect: () => new MessageStream(),
  errorBody(status, code, text) {
    const type = status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'api_error'
    return { type: 'error', error: { type, message: `${code}: ${text}` } }
  },
}

const settingNames = {
  max_tokens: 'maxOutputTokens',
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  stop_sequences: 'stopSequences',
  thinking: 'reasoning',
  tool_choice: 'toolChoice',
  output_format: 'responseFormat',
}

function asked(body: JsonObject): AskedModel {
  const instructions = joinedText(body.system)
  return {
    model: textIn(body.model),
    ...(instructions && { instructions }),
    messages: listIn(body.messages).map(objectIn).flatMap(messagesOf),
    tools: listIn(body.tools)
      .map(objectIn)
      .flatMap(({ name }) => textIn(name) ?? []),
    settings: pick(body, settingNames),
    isStream: body.stream === true,
    user: textIn(objectIn(body.metadata).user_id),
  }
}

/** The answers of tools come in messages of the user. */
function messagesOf({ role, content }: JsonObject): TappedMessage[] {
  const blocks = listIn(content).map(objectIn)
  if (role === 'assistant')
    return [
      message('assistant', content, {
        reasoning: blocks.map(({ thinking }) => textIn(thinking) ?? '').join(''),
        toolCalls: blocks
          .filter(({ type }) => type === 'tool_use')
          .map(({ id, name, input }, i) => recordedToolCall(id, name, input, i)),
      }),
    ]
  const isResult = ({ type }: JsonObject) => type === 'tool_result'
  const results = blocks.filter(isResult).map(each => toolResult(each.tool_use_id, each.content, each.is_error))
  const rest = typeof content === 'string' ? content : blocks.filter(each => !isResult(each))
  return [
    ...(results.length > 0 ? [message('tool', undefined, { results })] : []),
    ...(results.length === 0 || rest.length > 0 ? [message('user', rest)] : []),
  ]
}

const finishes: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool-calls',
  refusal: 'content-filter',
}

function answer(body: JsonObject): ReadAnswer {
  const builder = new AnswerBuilder()
  if (body.type === 'error') builder.problem = providerMessage(body) ?? 'the provider reported an error'
  readMessage(builder, body)
  for (const [i, block] of listIn(body.content).map(objectIn).entries()) {
    readBlock(builder, block, i)
    if (block.type === 'tool_use') builder.call(i, { input: JSON.stringify(block.input ?? {}) })
  }
  readStop(builder, body.stop_reason)
  return builder.read()
}

function readMessage(builder: AnswerBuilder, { id, model, usage }: JsonObject): void {
  builder.model ??= textIn(model) || undefined
  if (textIn(id)) builder.response.id = textIn(id)!
  if (textIn(model)) builder.response.modelId = textIn(model)!
  readUsage(builder, usage)
}

/** Anthropic counts cached tokens beside the input, and Tidings as a part of it. Later counts replace earlier ones. */
function readUsage(builder: AnswerBuilder, raw: unknown): void {
  if (!raw) return
  const { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens } = objectIn(raw)
  const before = builder.usage
  const cached = countIn(cache_read_input_tokens) ?? before?.cached
  const cacheWrite = countIn(cache_creation_input_tokens) ?? before?.cacheWrite
  const uncached = before ? before.input - (before.cached ?? 0) - (before.cacheWrite ?? 0) : 0
  builder.usage = {
    input: (countIn(input_tokens) ?? uncached) + (cached ?? 0) + (cacheWrite ?? 0),
    output: countIn(output_tokens) ?? before?.output ?? 0,
    ...(cached !== undefined && { cached }),
    ...(cacheWrite && { cacheWrite }),
  }
}

/** The beginning of a block in a stream, or a whole block without the input of a call. */
function readBlock(builder: AnswerBuilder, block: JsonObject, key: number): void {
  const { type, text, thinking, id, name } = block
  if (type === 'text') builder.text(textIn(text))
  else if (type === 'thinking') builder.reasoning(textIn(thinking))
  else if (type === 'tool_use') builder.call(key, { id: textIn(id), name: textIn(name) })
  else if (type !== 'redacted_thinking') builder.isPartial = true
}

function readStop(builder: AnswerBuilder, reason: unknown): void {
  const raw = textIn(reason)
  if (!raw) return
  builder.isComplete = true
  builder.finish = finishes[raw] ?? 'other'
  builder.rawFinish = raw
}

class MessageStream implements StreamCollector {
  readonly #builder = new AnswerBuilder()
  /** Blocks that are calls of tools which the client runs. */
  readonly #calls = new Set<number>()

  add(data: string): void {
    const builder = this.#builder
    const event = parseObject(data)
    if (!event) return void (builder.isPartial = true)
    const key = countIn(event.index) ?? 0
    switch (event.type) {
      case 'message_start':
        return readMessage(builder, objectIn(event.message))
      case 'content_block_start': {
        const block = objectIn(event.content_block)
        if (block.type === 'tool_use') this.#calls.add(key)
        return readBlock(builder, block, key)
      }
      case 'content_block_delta': {
        const { type, text, thinking, partial_json } = objectIn(event.delta)
        if (type === 'text_delta') return builder.text(textIn(text))
        if (type === 'thinking_delta') return builder.reasoning(textIn(thinking))
        if (type === 'input_json_delta' && this.#calls.has(key))
          return builder.call(key, { input: textIn(partial_json) })
        return
      }
      case 'message_delta':
        readUsage(builder, event.usage)
        return readStop(builder, objectIn(event.delta).stop_reason)
      case 'error':
        builder.problem = providerMessage(event) ?? 'the provider reported an error'
        return
      default:
    }
  }

  read(): ReadAnswer {
    return this.#builder.read()
  }
}
