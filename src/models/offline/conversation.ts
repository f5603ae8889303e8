import type { JSONValue, LanguageModelV4FunctionTool, LanguageModelV4Prompt } from '@ai-sdk/provider'
import { outputValue } from './results.ts'

/** A tool call of the conversation. `result` is undefined if it failed or is open. */
export interface Exchange {
  readonly toolName: string
  readonly input: unknown
  readonly result: JSONValue | undefined
}

/** The last message of the user, the tool calls since then, and the number of all tool calls, for the id of the next one. */
export function conversation(prompt: LanguageModelV4Prompt) {
  const last = prompt.findLastIndex(message => message.role === 'user')
  const user = prompt[last]
  const parts = user?.role === 'user' ? user.content : []
  const ask = parts
    .map(part => (part.type === 'text' ? part.text : ''))
    .join('\n')
    .trim()

  const results = new Map<string, JSONValue | undefined>()
  for (const message of prompt) {
    if (message.role !== 'tool' && message.role !== 'assistant') continue
    for (const part of message.content) {
      if (part.type === 'tool-result') results.set(part.toolCallId, outputValue(part.output))
    }
  }
  const callsIn = (messages: LanguageModelV4Prompt) =>
    messages
      .flatMap(message => (message.role === 'assistant' ? message.content : []))
      .filter(part => part.type === 'tool-call')
  const exchanges: Exchange[] = callsIn(prompt.slice(last + 1)).map(({ toolName, input, toolCallId }) => ({
    toolName,
    input,
    result: results.get(toolCallId),
  }))
  return { ask, exchanges, calls: callsIn(prompt).length }
}

/** The number of words, because this model has no tokens. */
export function countWords(prompt: LanguageModelV4Prompt, tools: readonly LanguageModelV4FunctionTool[]): number {
  return wordsIn(JSON.stringify([prompt.map(message => message.content), tools]))
}

export const wordsIn = (text: string): number => text.match(/[\p{L}\p{N}]+/gu)?.length ?? 0
