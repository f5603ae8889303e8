import type { LanguageModelV4, LanguageModelV4Prompt, LanguageModelV4StreamPart } from '@ai-sdk/provider'

export type Said = string | readonly { id: string; tool: string; input: unknown }[]

/** A model that answers by a function of what it is given to read: with text, or with calls of tools. Counts. */
export function plainModel(answer: (prompt: LanguageModelV4Prompt) => Said) {
  const asked: LanguageModelV4Prompt[] = []
  const model: LanguageModelV4 = {
    specificationVersion: 'v4',
    provider: 'test',
    modelId: 'plain',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('only streams')),
    doStream: async ({ prompt }) => {
      asked.push(prompt)
      return { stream: ReadableStream.from(partsOf(answer(prompt))) }
    },
  }
  return { model, asked }
}

function partsOf(said: Said): LanguageModelV4StreamPart[] {
  const isText = typeof said === 'string'
  return [
    ...(isText
      ? ([
          { type: 'text-start', id: '0' },
          { type: 'text-delta', id: '0', delta: said },
          { type: 'text-end', id: '0' },
        ] as const)
      : said.map(({ id, tool, input }) => ({
          type: 'tool-call' as const,
          toolCallId: id,
          toolName: tool,
          input: JSON.stringify(input),
        }))),
    {
      type: 'finish',
      usage: {
        inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 1, text: 1, reasoning: 0 },
      },
      finishReason: { unified: isText ? 'stop' : 'tool-calls', raw: undefined },
    },
  ]
}

/** The texts and tool outputs of a prompt, in order. */
export const readIn = (prompt: LanguageModelV4Prompt): string[] =>
  prompt.flatMap(({ role, content }) =>
    role === 'system'
      ? []
      : content.flatMap(part =>
          part.type === 'text'
            ? [part.text]
            : part.type === 'tool-result' && part.output.type === 'json'
              ? [JSON.stringify(part.output.value)]
              : [],
        ),
  )
