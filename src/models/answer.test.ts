import type { LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { describe, expect, test } from 'vitest'
import { AnswerCollector } from './answer.ts'

type Unified = 'stop' | 'length' | 'tool-calls'

/** What comes of a stream of these parts. */
function answered(unified: Unified, ...parts: LanguageModelV4StreamPart[]) {
  const answer = new AnswerCollector(bytes => Promise.resolve({ blob: 'sha256-…', bytes: bytes.length }))
  for (const part of parts) answer.add(part)
  const none = { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined }
  return answer.result({
    type: 'finish',
    finishReason: { unified, raw: undefined },
    usage: { inputTokens: none, outputTokens: { total: undefined, text: undefined, reasoning: undefined } },
  })
}

const call = (toolCallId: string, input: string, providerExecuted?: true): LanguageModelV4StreamPart => ({
  type: 'tool-call',
  toolCallId,
  toolName: 'draw',
  input,
  ...(providerExecuted && { providerExecuted }),
})

describe('an answer', () => {
  test('keeps the last metadata of a part', async () => {
    const at = (signature: string) => ({ providerMetadata: { some: { signature } } })
    const { content } = await answered(
      'stop',
      { type: 'reasoning-start', id: '0', ...at('first') },
      { type: 'reasoning-delta', id: '0', delta: 'Hm.', ...at('second') },
      { type: 'reasoning-end', id: '0' },
      { type: 'text-start', id: '0' },
      { type: 'text-delta', id: '0', delta: 'Yes.' },
      { type: 'text-end', id: '0', ...at('last') },
    )
    expect(content).toEqual([
      { type: 'reasoning', ...at('second') },
      { type: 'text', ...at('last') },
    ])
  })

  test("keeps the final result of a provider's tool, not its preliminary results", async () => {
    const result = { type: 'tool-result', toolCallId: 'c1', toolName: 'draw' } as const
    const { content, toolCalls } = await answered(
      'stop',
      call('c1', '{}', true),
      { ...result, result: 'a sketch', preliminary: true },
      { ...result, result: 'the picture' },
    )
    expect(toolCalls).toEqual([])
    expect(content).toMatchObject([{ type: 'tool-call' }, { type: 'tool-result', result: 'the picture' }])
  })

  test('omits pings, raw chunks and the fragments of a complete call', async () => {
    const result = await answered(
      'tool-calls',
      { type: 'ping' },
      { type: 'raw', rawValue: {} },
      { type: 'tool-input-start', id: 'c1', toolName: 'draw' },
      { type: 'tool-input-delta', id: 'c1', delta: '{"n":1}' },
      { type: 'tool-input-end', id: 'c1' },
      call('c1', '{"n":1}'),
    )
    expect(result).toEqual({
      text: '',
      toolCalls: [{ toolCallId: 'c1', toolName: 'draw', input: { n: 1 } }],
      finish: 'tool-calls',
      usage: { input: 0, output: 0 },
    })
  })

  test('stores the URL of a file that came as a URL', async () => {
    const { content } = await answered('stop', {
      type: 'file',
      mediaType: 'image/png',
      data: { type: 'url', url: new URL('https://example.org/boat.png') },
    })
    expect(content).toEqual([{ type: 'file', mediaType: 'image/png', url: 'https://example.org/boat.png' }])
  })
})

describe('at the limit of output tokens', () => {
  test.each([
    ['the last call is cut where it is empty', [call('c1', '{"n":1}'), call('c2', '{}')], [undefined, true]],
    ['the last call is cut where it is no JSON', [call('c1', '{"n":1}'), call('c2', '{"n"')], [undefined, true]],
    ['the last call is whole where it is JSON', [call('c1', '{"n":1}')], [undefined]],
    ['an empty call before a text is whole', [call('c1', ''), text('And')], [undefined]],
    ['a call that had only begun is cut', [{ type: 'tool-input-start', id: 'c1', toolName: 'draw' }], [true]],
  ] as [string, LanguageModelV4StreamPart[], (true | undefined)[]][])('%s', async (_, parts, cuts) => {
    const { toolCalls } = await answered('length', ...parts)
    expect(toolCalls.map(({ cut }) => cut)).toEqual(cuts)
  })

  test('only: an empty call that finished normally is complete', async () => {
    expect((await answered('tool-calls', call('c1', ''))).toolCalls).toEqual([
      { toolCallId: 'c1', toolName: 'draw', input: {} },
    ])
  })
})

function text(delta: string): LanguageModelV4StreamPart {
  return { type: 'text-delta', id: '0', delta }
}
