import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'

/** A model that always calls the tool. */
export const endlessModel = (tool: string) => noopModel(tool, Infinity)

/** A model that calls the tool three times and does nothing else. */
export function noopModel(tool: string, calls: number): LanguageModelV4 {
  return {
    specificationVersion: 'v4',
    provider: 'bench',
    modelId: 'noop',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('only streams')),
    doStream: async ({ prompt }) => {
      const answered = prompt.filter(message => message.role === 'tool').length
      const usage = {
        inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
        outputTokens: { total: 1, text: 1, reasoning: 0 },
      }
      const parts: LanguageModelV4StreamPart[] =
        answered < calls
          ? [{ type: 'tool-call', toolCallId: `c${prompt.length}`, toolName: tool, input: payload }]
          : [
              { type: 'text-start', id: '0' },
              { type: 'text-delta', id: '0', delta: 'done' },
              { type: 'text-end', id: '0' },
            ]
      parts.push({
        type: 'finish',
        usage,
        finishReason: { unified: answered < calls ? 'tool-calls' : 'stop', raw: undefined },
      })
      return { stream: ReadableStream.from(parts) }
    },
  }
}

/** 300 bytes of JSON. */
const payload = JSON.stringify({ q: 'x'.repeat(292) })
