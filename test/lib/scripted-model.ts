import type { LanguageModelV4, LanguageModelV4Prompt, LanguageModelV4StreamPart } from '@ai-sdk/provider'

/** What a model answers: a text, or calls of tools. */
export type Said = string | readonly { readonly tool: string; readonly input: unknown }[]

/** A model that answers what a pure function makes of the conversation. */
export function scriptedModel(modelId: string, says: (prompt: LanguageModelV4Prompt) => Said): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: 'scripted',
    modelId,
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('only streams')),
    doStream: async ({ prompt }) => ({ stream: ReadableStream.from(partsOf(says(prompt), prompt.length)) }),
  }
}

/** What tools have answered so far, in order. */
export const answersIn = (prompt: LanguageModelV4Prompt) =>
  prompt.flatMap(message => (message.role === 'tool' ? message.content : []))

function* partsOf(said: Said, place: number): Generator<LanguageModelV4StreamPart> {
  if (typeof said === 'string') {
    yield { type: 'text-start', id: '0' }
    yield { type: 'text-delta', id: '0', delta: said }
    yield { type: 'text-end', id: '0' }
  } else
    for (const [i, { tool, input }] of said.entries())
      yield {
        type: 'tool-call',
        toolCallId: `c${place}-${i}`,
        toolName: tool.replaceAll('.', '_'),
        input: JSON.stringify(input),
      }
  yield {
    type: 'finish',
    finishReason: { unified: typeof said === 'string' ? 'stop' : 'tool-calls', raw: undefined },
    usage: {
      inputTokens: { total: 10, noCache: 10, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: 2, text: 2, reasoning: 0 },
    },
  }
}
