import { setTimeout } from 'node:timers/promises'
import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FunctionTool,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
} from '@ai-sdk/provider'
import { conversation, countWords, wordsIn } from './conversation.ts'
import { material, notFound, notSearched } from './material.ts'
import { extract, type Quote } from './rank.ts'
import { findings, inputFor, nextCalls, type ToolCall } from './research.ts'
import { fill, type OfflineSchema } from './schema.ts'
import { valuesOf } from './values.ts'
import { writeAnswer, writeReport } from './write.ts'

export const offlineProvider = 'tidings'

/**
 * A language model without a network or a key. It plans tool calls by rules and answers by extraction: every statement is a
 * sentence that a tool returned, verbatim, with the identifier of its passage. It matches words and understands nothing; if
 * no words match, it answers that the documents do not contain the answer. The same prompt gives the same answer, byte for
 * byte; settings such as temperature and seed have no effect. A text streams word by word. `msPerWord`: the time between two words; 0
 * for the whole text at once. Default: 25 ms, less if the text would take longer than a second, and 0 for JSON.
 * @example
 * const helper = agent('helper', { model: offlineModel(), instructions: 'Answer from the notes.', tools: [search] })
 */
export function offlineModel({ msPerWord }: { msPerWord?: number } = {}): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: offlineProvider,
    modelId: 'offline-extractive',
    supportedUrls: {},
    async doGenerate(options) {
      return { ...answer(options), warnings: [], response: { modelId: 'offline-extractive' } }
    },
    async doStream(options) {
      return { stream: ReadableStream.from(parts(options, msPerWord)) }
    },
  }
}

type Answer = {
  content: Extract<LanguageModelV4Content, { type: 'text' | 'tool-call' }>[]
  finishReason: { unified: 'stop' | 'tool-calls'; raw: undefined }
  usage: LanguageModelV4Usage
}

function answer(options: LanguageModelV4CallOptions): Answer {
  options.abortSignal?.throwIfAborted()
  const tools = usableTools(options)
  const { calls, text } = decide(options, tools)
  const first = conversation(options.prompt).calls + 1
  const content: Answer['content'] =
    calls.length > 0
      ? calls.map(({ toolName, input }, i) => ({
          type: 'tool-call',
          toolCallId: `offline-${first + i}`,
          toolName,
          input: JSON.stringify(input),
        }))
      : [{ type: 'text', text }]
  const input = countWords(options.prompt, tools)
  const output = content.reduce((sum, part) => sum + wordsIn(part.type === 'text' ? part.text : part.input), 0)
  return {
    content,
    finishReason: { unified: calls.length > 0 ? 'tool-calls' : 'stop', raw: undefined },
    usage: {
      inputTokens: { total: input, noCache: input, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: output, text: output, reasoning: 0 },
    },
  }
}

function usableTools({ tools = [], toolChoice }: LanguageModelV4CallOptions): LanguageModelV4FunctionTool[] {
  const functions = tools.filter(tool => tool.type === 'function')
  if (toolChoice?.type === 'none') return []
  return toolChoice?.type === 'tool' ? functions.filter(tool => tool.name === toolChoice.toolName) : functions
}

/** Researcher if there are tools or results, reviewer or planner if a shape is requested, else writer. */
function decide(
  { prompt, responseFormat, toolChoice, tools: given = [] }: LanguageModelV4CallOptions,
  tools: readonly LanguageModelV4FunctionTool[],
): { calls: readonly ToolCall[]; text: string } {
  const { ask, exchanges } = conversation(prompt)
  const researching = tools.length > 0 || exchanges.length > 0
  const held = material(ask, researching ? 'part' : 'whole')

  const { question } = held
  const calls = nextCalls({ question, tools, exchanges }, valuesOf(held, ask, []))
  if (calls.length > 0) return { calls, text: '' }
  const forced = toolChoice?.type === 'required' || toolChoice?.type === 'tool' ? tools[0] : undefined
  if (forced && exchanges.length === 0) {
    return { calls: [{ toolName: forced.name, input: inputFor(forced, valuesOf(held, ask, [])) }], text: '' }
  }

  const functions = given.filter(tool => tool.type === 'function')
  const quotes = researching ? findings({ question, tools: functions, exchanges }) : quotesIn(ask, question)
  const failed = exchanges.length > 0 && exchanges.every(exchange => exchange.result === undefined)
  const text =
    held.notes.length > 0 && !researching
      ? writeReport(held)
      : writeAnswer(question, quotes, failed ? notSearched : notFound)
  if (responseFormat?.type !== 'json') return { calls: [], text }
  const cited = held.notes.flatMap(note => note.units.flatMap(unit => unit.citations))
  const citations = [...cited, ...quotes.map(quote => quote.citation)]
  const values = valuesOf(held, text, [...new Set(citations)])
  return { calls: [], text: JSON.stringify(fill((responseFormat.schema ?? anyAnswer) as OfflineSchema, values)) }
}

const anyAnswer: OfflineSchema = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] }

/** Without tools and notes, answers from the user's text besides the question. */
function quotesIn(ask: string, question: string): Quote[] {
  const text = ask.replace(question, '')
  return extract(question, [{ id: 'message', path: 'message', heading: '', text }])
}

const defaultMsPerWord = 25
const maxTextMs = 1_000

async function* parts(
  options: LanguageModelV4CallOptions,
  msPerWord: number | undefined,
): AsyncGenerator<LanguageModelV4StreamPart> {
  yield { type: 'stream-start', warnings: [] }
  const { content, finishReason, usage } = answer(options)
  yield { type: 'response-metadata', modelId: 'offline-extractive' }
  for (const part of content) {
    if (part.type === 'text') {
      yield { type: 'text-start', id: 'text' }
      const words = part.text.match(/\s*\S+\s*/g) ?? []
      const isRead = options.responseFormat?.type !== 'json'
      const pauseMs = msPerWord ?? (isRead ? Math.min(defaultMsPerWord, maxTextMs / words.length) : 0)
      const begin = performance.now()
      for (const [i, delta] of words.entries()) {
        const waitMs = begin + i * pauseMs - performance.now()
        // Timers are coarse: shorter waits are made up for by a later one.
        if (waitMs >= 1) await setTimeout(waitMs, undefined, { signal: options.abortSignal }).catch(() => {})
        options.abortSignal?.throwIfAborted()
        yield { type: 'text-delta', id: 'text', delta }
      }
      yield { type: 'text-end', id: 'text' }
    } else {
      yield { type: 'tool-input-start', id: part.toolCallId, toolName: part.toolName }
      yield { type: 'tool-input-delta', id: part.toolCallId, delta: part.input }
      yield { type: 'tool-input-end', id: part.toolCallId }
      yield part
    }
  }
  yield { type: 'finish', finishReason, usage }
}
