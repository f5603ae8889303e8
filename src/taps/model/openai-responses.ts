import type { ModelToolCall } from '../../tasks/conversation.ts'
import type { TappedMessage } from '../../tasks/tapped-model.ts'
import { AnswerBuilder } from './answer-builder.ts'
import { countIn, listIn, objectIn, parseObject, pick, textIn, type JsonObject } from '../json-read.ts'
import { joinedText, message, recordedToolCall, toolResult } from './messages.ts'
import { providerMessage, type AskedModel, type ModelApi, type ReadAnswer, type StreamCollector } from './model-api.ts'
import { openaiError, openaiUsage } from './openai-chat.ts'

/* Source: https://platform.openai.com/docs/api-reference/responses. */

export const openaiResponses: ModelApi = {
  name: 'openai.responses',
  path: /\/responses$/,
  asked,
  answer,
  collect: () => new ResponseStream(),
  errorBody: openaiError,
}

const settingNames = {
  max_output_tokens: 'maxOutputTokens',
  temperature: 'temperature',
  top_p: 'topP',
  reasoning: 'reasoning',
  tool_choice: 'toolChoice',
  text: 'responseFormat',
}

function asked(body: JsonObject): AskedModel {
  const items =
    typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : listIn(body.input).map(objectIn)
  const isInstruction = ({ role }: JsonObject) => role === 'system' || role === 'developer'
  const instructions = [
    ...(textIn(body.instructions) ? [textIn(body.instructions)!] : []),
    ...items.filter(isInstruction).map(({ content }) => joinedText(content)),
  ]
  const conversation = textIn(body.conversation) ?? textIn(objectIn(body.conversation).id)
  return {
    model: textIn(body.model),
    ...(instructions.length > 0 && { instructions: instructions.join('\n\n') }),
    messages: messagesIn(items.filter(item => !isInstruction(item))),
    tools: listIn(body.tools)
      .map(objectIn)
      .flatMap(({ name, type }) => textIn(name) ?? textIn(type) ?? []),
    settings: pick(body, settingNames),
    isStream: body.stream === true,
    user: textIn(body.user) ?? textIn(body.safety_identifier),
    isKept: body.store !== false,
    continues: textIn(body.previous_response_id),
    conversation,
  }
}

/** What a model says comes as several items, which are one message. */
function messagesIn(items: readonly JsonObject[]): TappedMessage[] {
  const messages: TappedMessage[] = []
  let said: JsonObject[] = []
  const flush = () => {
    if (said.length > 0) messages.push(saidIn(said))
    said = []
  }
  for (const item of items) {
    if (isOfModel(item)) {
      said.push(item)
      continue
    }
    flush()
    const { type, call_id, output, content } = item
    if (textIn(type)?.endsWith('_output'))
      messages.push(message('tool', undefined, { results: [toolResult(call_id, output)] }))
    else messages.push(message('user', content))
  }
  flush()
  return messages
}

const isOfModel = ({ type, role }: JsonObject) =>
  role === 'assistant' || type === 'reasoning' || (textIn(type)?.endsWith('_call') ?? false)

function saidIn(items: readonly JsonObject[]): TappedMessage {
  const of = (...types: string[]) => items.filter(({ type }) => types.includes(textIn(type) ?? 'message'))
  return message(
    'assistant',
    of('message')
      .map(({ content }) => joinedText(content))
      .join(''),
    {
      reasoning: of('reasoning').map(reasoningIn).join('\n\n'),
      toolCalls: of('function_call', 'custom_tool_call').map(callOf),
    },
  )
}

const reasoningIn = ({ summary, content }: JsonObject) =>
  [...listIn(summary), ...listIn(content)].map(part => textIn(objectIn(part).text) ?? '').join('\n\n')

const callOf = ({ call_id, name, arguments: input, input: free }: JsonObject, i: number): ModelToolCall =>
  recordedToolCall(call_id, name, input ?? free, i)

function answer(body: JsonObject): ReadAnswer {
  const builder = new AnswerBuilder()
  readResponse(builder, body)
  return builder.read()
}

function readResponse(builder: AnswerBuilder, body: JsonObject): void {
  readHead(builder, body)
  for (const [i, item] of listIn(body.output).map(objectIn).entries()) readItem(builder, item, i)
  readEnd(builder, body)
}

function readHead(builder: AnswerBuilder, { id, model, created_at }: JsonObject): void {
  builder.model ??= textIn(model) || undefined
  if (textIn(id)) builder.response.id = textIn(id)!
  if (textIn(model)) builder.response.modelId = textIn(model)!
  const seconds = countIn(created_at)
  if (seconds && seconds < 1e11) builder.response.timestamp = new Date(seconds * 1_000).toISOString()
}

function readItem(builder: AnswerBuilder, item: JsonObject, i: number): void {
  const { type, content, call_id, name, arguments: input, input: free } = item
  if (type === 'message') {
    builder.text(joinedText(content))
    if (listIn(content).some(part => objectIn(part).type === 'refusal')) builder.rawFinish = 'refusal'
  } else if (type === 'reasoning') builder.reasoning(reasoningIn(item))
  else if (type === 'function_call' || type === 'custom_tool_call')
    builder.call(i, { id: textIn(call_id), name: textIn(name), input: textIn(input ?? free) })
  else builder.isPartial = true
}

function readEnd(builder: AnswerBuilder, body: JsonObject): void {
  const { status, incomplete_details, usage, error, output } = body
  if (usage) builder.usage = openaiUsage(objectIn(usage), 'input', 'output')
  if (error) builder.problem ??= providerMessage(body) ?? JSON.stringify(error)
  const reason = textIn(objectIn(incomplete_details).reason)
  const isCall = listIn(output).some(item =>
    /^(function_call|custom_tool_call)$/.test(textIn(objectIn(item).type) ?? ''),
  )
  if (status === 'failed' || status === 'cancelled') builder.problem ??= `the response is ${status}`
  builder.isComplete ||=
    status === 'completed' || status === 'incomplete' || (status === undefined && Array.isArray(output))
  if (reason) {
    builder.finish =
      reason === 'max_output_tokens' ? 'length' : reason === 'content_filter' ? 'content-filter' : 'other'
    builder.rawFinish = reason
  } else if (builder.rawFinish === 'refusal') builder.finish = 'content-filter'
  else if (builder.isComplete) builder.finish = isCall ? 'tool-calls' : 'stop'
}

/** The last event holds the whole response. Pieces count only if that does not come, or is empty. */
class ResponseStream implements StreamCollector {
  readonly #pieces = new AnswerBuilder()
  #whole: AnswerBuilder | undefined

  add(data: string): void {
    const event = parseObject(data)
    const pieces = this.#pieces
    if (!event) return void (pieces.isPartial ||= data.trim() !== '[DONE]')
    const key = countIn(event.output_index) ?? 0
    switch (event.type) {
      case 'response.created':
        return readHead(pieces, objectIn(event.response))
      case 'response.output_text.delta':
      case 'response.refusal.delta':
        if (event.type === 'response.refusal.delta') pieces.rawFinish = 'refusal'
        return pieces.text(textIn(event.delta))
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return pieces.reasoning(textIn(event.delta))
      case 'response.output_item.added': {
        const { type, call_id, name } = objectIn(event.item)
        if (type === 'function_call' || type === 'custom_tool_call')
          pieces.call(key, { id: textIn(call_id), name: textIn(name) })
        return
      }
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        return pieces.call(key, { input: textIn(event.delta) })
      case 'error':
        pieces.problem = providerMessage(event) ?? 'the provider reported an error'
        return
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed': {
        const response = objectIn(event.response)
        if (listIn(response.output).length > 0) readResponse((this.#whole = new AnswerBuilder()), response)
        readHead(pieces, response)
        return readEnd(pieces, { status: textIn(event.type)!.slice('response.'.length), ...response })
      }
      default:
    }
  }

  read(): ReadAnswer {
    const whole = this.#whole
    if (!whole) return this.#pieces.read()
    whole.problem ??= this.#pieces.problem
    whole.isComplete ||= this.#pieces.isComplete
    whole.isPartial ||= this.#pieces.isPartial
    return whole.read()
  }
}
