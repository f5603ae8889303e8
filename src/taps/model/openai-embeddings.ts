import { AnswerBuilder } from './answer-builder.ts'
import { countIn, listIn, objectIn, pick, textIn, type JsonObject } from '../json-read.ts'
import type { ModelApi, ReadAnswer } from './model-api.ts'
import { openaiError } from './openai-chat.ts'

/* Source: https://platform.openai.com/docs/api-reference/embeddings. The vectors are not recorded. */

export const openaiEmbeddings: ModelApi = {
  name: 'openai.embeddings',
  path: /\/embeddings$/,
  asked: body => ({
    model: textIn(body.model),
    messages: textsIn(body.input).map(text => ({ role: 'user', text })),
    tools: [],
    settings: pick(body, { dimensions: 'dimensions', encoding_format: 'encodingFormat' }),
    isStream: false,
    user: textIn(body.user),
  }),
  answer,
  errorBody: openaiError,
}

/** A text, a list of texts, or lists of tokens, which say nothing to people. */
function textsIn(input: unknown): string[] {
  if (typeof input === 'string') return [input]
  const texts = listIn(input).filter(each => typeof each === 'string')
  return texts.length > 0 ? texts : ['(tokens)']
}

function answer(body: JsonObject): ReadAnswer {
  const builder = new AnswerBuilder()
  const { data, model, usage } = body
  const vectors = listIn(data).map(each => objectIn(each).embedding)
  const size = Array.isArray(vectors[0]) ? vectors[0].length : undefined
  builder.model = textIn(model)
  builder.isComplete = Array.isArray(data)
  builder.finish = 'stop'
  builder.text(
    `${vectors.length} ${vectors.length === 1 ? 'embedding' : 'embeddings'}${size === undefined ? '' : ` of ${size} dimensions`}`,
  )
  const { prompt_tokens, total_tokens } = objectIn(usage)
  if (usage) builder.usage = { input: countIn(prompt_tokens) ?? countIn(total_tokens) ?? 0, output: 0 }
  return builder.read()
}
