import type { TappedMessage } from '../../tasks/tapped-model.ts'
import { AnswerBuilder } from './answer-builder.ts'
import { countIn, listIn, objectIn, parseObject, pick, textIn, type JsonObject } from '../json-read.ts'
import { joinedText, message, recordedToolCall, toolResult } from './messages.ts'
import { providerMessage, type AskedModel, type ModelApi, type ReadAnswer, type StreamCollector } from './model-api.ts'

/* Source: https://platform.openai.com/docs/api-reference/chat. Many other services speak it, not all of them completely. */

export const openaiChat: ModelApi = {
  name: 'openai.chat',
  path: /\/chat\/completions$/,
  asked,
  answer,
  collect: () => new ChatStream(),
  errorBody: openaiError,
}

export function openaiError(status: number, code: string, text: string): object {
  const type = status === 429 ? 'insufficient_quota' : status < 500 ? 'invalid_request_error' : 'server_error'
  return { error: { message: text, type, param: null, code } }
}

const isInstruction = (role: unknown) => role === 'system' || role === 'developer'

const settingNames = {
  max_tokens: 'maxOutputTokens',
  max_completion_tokens: 'maxOutputTokens',
  temperature: 'temperature',
  top_p: 'topP',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  stop: 'stopSequences',
  seed: 'seed',
  reasoning_effort: 'reasoning',
  tool_choice: 'toolChoice',
  response_format: 'responseFormat',
  n: 'n',
}

function asked(body: JsonObject): AskedModel {
  const all = listIn(body.messages).map(objectIn)
  const instructions = all.filter(({ role }) => isInstruction(role)).map(({ content }) => joinedText(content))
  const functions = [...listIn(body.tools).map(objectIn), ...listIn(body.functions).map(each => ({ function: each }))]
  return {
    model: textIn(body.model),
    ...(instructions.length > 0 && { instructions: instructions.join('\n\n') }),
    messages: all.filter(({ role }) => !isInstruction(role)).map(messageOf),
    tools: functions.flatMap(
      tool => textIn(objectIn(tool.function ?? ('custom' in tool ? tool.custom : {})).name) ?? [],
    ),
    settings: pick(body, settingNames),
    isStream: body.stream === true,
    user: textIn(body.user) ?? textIn(body.safety_identifier),
  }
}

function messageOf(raw: JsonObject): TappedMessage {
  const { role, content } = raw
  if (role === 'tool' || role === 'function')
    return message('tool', undefined, { results: [toolResult(raw.tool_call_id ?? raw.name, content)] })
  if (role !== 'assistant') return message('user', content)
  const { reasoning_content, reasoning, refusal } = raw
  return message('assistant', content ?? refusal, {
    reasoning: textIn(reasoning_content) ?? textIn(reasoning),
    toolCalls: callsIn(raw),
  })
}

const callsIn = ({ tool_calls, function_call }: JsonObject) =>
  [...listIn(tool_calls).map(objectIn), ...(function_call ? [{ function: function_call }] : [])].map((call, i) => {
    const { id, function: named, custom } = call
    const { name, arguments: input, input: free } = objectIn(named ?? custom)
    return recordedToolCall(id, name, input ?? free, i)
  })

const finishes: Readonly<Record<string, string>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content-filter',
  tool_calls: 'tool-calls',
  function_call: 'tool-calls',
}

function answer(body: JsonObject): ReadAnswer {
  const builder = new AnswerBuilder()
  readCommon(builder, body)
  const choices = listIn(body.choices).map(objectIn)
  const said = objectIn(choices[0]?.message)
  builder.text(joinedText(said.content))
  readOthers(builder, said)
  for (const [i, call] of callsOf(said).entries()) builder.call(i, call)
  readFinish(builder, choices[0]?.finish_reason)
  builder.isComplete ||= choices.length > 0
  builder.isPartial ||= choices.length > 1 || said.audio !== undefined
  return builder.read()
}

class ChatStream implements StreamCollector {
  readonly #builder = new AnswerBuilder()

  add(data: string): void {
    const builder = this.#builder
    if (data.trim() === '[DONE]') return void (builder.isComplete = true)
    const chunk = parseObject(data)
    if (!chunk) return void (builder.isPartial = true)
    readCommon(builder, chunk)
    for (const choice of listIn(chunk.choices).map(objectIn)) {
      if ((countIn(choice.index) ?? 0) > 0) {
        builder.isPartial = true
        continue
      }
      const delta = objectIn(choice.delta)
      builder.text(textIn(delta.content) ?? (delta.content ? joinedText(delta.content) : undefined))
      readOthers(builder, delta)
      for (const call of callsOf(delta)) builder.call(call.key, call)
      readFinish(builder, choice.finish_reason)
    }
  }

  read(): ReadAnswer {
    return this.#builder.read()
  }
}

function readCommon(builder: AnswerBuilder, body: JsonObject): void {
  const { id, model, created, usage, error } = body
  builder.model ??= textIn(model) || undefined
  if (textIn(id)) builder.response.id ??= textIn(id)!
  if (textIn(model)) builder.response.modelId ??= textIn(model)!
  const seconds = countIn(created)
  if (seconds && seconds < 1e11) builder.response.timestamp ??= new Date(seconds * 1_000).toISOString()
  if (error !== undefined && error !== null) builder.problem ??= providerMessage(body) ?? JSON.stringify(error)
  if (usage) builder.usage = openaiUsage(objectIn(usage), 'prompt', 'completion')
}

/** The tokens of an answer. `input`, `output`: what the API calls them, as in `prompt_tokens`. */
export function openaiUsage(usage: JsonObject, input: string, output: string) {
  const cached = countIn(objectIn(usage[`${input}_tokens_details`]).cached_tokens)
  const reasoning = countIn(objectIn(usage[`${output}_tokens_details`]).reasoning_tokens)
  return {
    input: countIn(usage[`${input}_tokens`]) ?? 0,
    output: countIn(usage[`${output}_tokens`]) ?? 0,
    ...(cached !== undefined && { cached }),
    ...(reasoning && { reasoning }),
  }
}

function readOthers(builder: AnswerBuilder, said: JsonObject): void {
  builder.reasoning(textIn(said.reasoning_content) ?? textIn(said.reasoning))
  const refusal = textIn(said.refusal)
  if (!refusal) return
  builder.text(refusal)
  builder.rawFinish = 'refusal'
}

function callsOf({ tool_calls, function_call }: JsonObject) {
  const calls = [...listIn(tool_calls), ...(function_call ? [{ function: function_call }] : [])].map(objectIn)
  return calls.map(({ index, id, function: named, custom }, i) => {
    const { name, arguments: input, input: free } = objectIn(named ?? custom)
    const given = input ?? free
    return {
      key: countIn(index) ?? i,
      id: textIn(id),
      name: textIn(name),
      input: textIn(given) ?? (given === undefined || given === null ? undefined : JSON.stringify(given)),
    }
  })
}

function readFinish(builder: AnswerBuilder, reason: unknown): void {
  const raw = textIn(reason)
  if (!raw) return
  builder.isComplete = true
  // A refusal ends like a good answer.
  const isRefusal = builder.rawFinish === 'refusal'
  builder.finish = isRefusal ? 'content-filter' : (finishes[raw] ?? 'other')
  if (!isRefusal) builder.rawFinish = raw === 'tool_calls' ? 'tool-calls' : raw
}
