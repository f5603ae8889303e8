import type { LanguageModelV4 } from '@ai-sdk/provider'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { anthropicServer } from '../lib/providers/anthropic.ts'
import { googleServer } from '../lib/providers/google.ts'
import { models, walk } from '../lib/providers/models.ts'
import { openaiResponsesServer } from '../lib/providers/openai.ts'
import { onAnyBus } from '../lib/world.ts'

/* The rows of the tables in docs/models.md: what is kept of what a provider streams, and what is given back to it. */

onAnyBus(world => {
  const run = async (model: LanguageModelV4, options?: Parameters<typeof walk>[2]) =>
    walk(await world(), model, options)
  const call = { name: 'step', input: { n: 1 } }

  it('text and calls alone: in their fields, with nothing twice', async () => {
    await using server = await openaiServer(
      { text: 'Let me see. ', toolCalls: [{ id: 'c1', name: 'step', arguments: { n: 1 } }] },
      { text: 'Done.' },
    )
    const { results } = await run(models.compatible(server.url))
    expect(results[0]).toMatchObject({ text: 'Let me see. ', finish: 'tool-calls' })
    expect(results.map(result => 'content' in result)).toEqual([false, false])
    expect(server.requests[1]!.body.messages[2]).toMatchObject({ content: 'Let me see. ', tool_calls: [{ id: 'c1' }] })
  })

  it('reasoning: its text, once, and its signature', async () => {
    await using server = await anthropicServer(
      { thinking: 'Hm.', redactedThinking: 'opaque', text: 'I look.', calls: [call] },
      { text: 'Done.' },
    )
    const { results } = await run(models.anthropic(server.url))
    expect(results[0]).toMatchObject({
      text: 'I look.',
      reasoning: 'Hm.',
      content: [
        { type: 'reasoning', text: 'Hm.', providerMetadata: { anthropic: { signature: expect.any(String) } } },
        { type: 'reasoning', text: '', providerMetadata: { anthropic: { redactedData: 'opaque' } } },
        { type: 'text' },
        { type: 'tool-call', toolCallId: 'toolu_1' },
      ],
    })
    expect(results[0]!.content![2]).toEqual({ type: 'text' })
    expect(server.requests[1]!.messages[1]!.content.map(({ type }) => type)).toEqual([
      'thinking',
      'redacted_thinking',
      'text',
      'tool_use',
    ])
  })

  it('the only reasoning: no text of its own beside the field', async () => {
    await using server = await googleServer(
      { thought: 'Hm.', calls: [{ name: 'step', args: { n: 1 } }] },
      { text: 'Done.' },
    )
    const { results } = await run(models.google(server.url))
    const { reasoning, content } = results[0]!
    expect(reasoning).toBe('Hm.')
    expect(content).toEqual([
      { type: 'reasoning' },
      {
        type: 'tool-call',
        toolCallId: expect.any(String),
        providerMetadata: { google: { thoughtSignature: expect.any(String) } },
      },
    ])
    expect(results[1]!.content).toMatchObject([
      { type: 'text', providerMetadata: { google: { thoughtSignature: expect.any(String) } } },
    ])
  })

  it('files: their bytes in a blob, given back where the provider reads them', async () => {
    const image = Buffer.from('an image of a boat').toString('base64')
    const draft = Buffer.from('a sketch of a boat').toString('base64')
    await using server = await googleServer(
      { draft, image, calls: [{ name: 'step', args: { n: 1 } }] },
      { text: 'A boat.' },
    )
    const { results, worker } = await run(models.google(server.url))
    const files = results[0]!.content!.filter(({ type }) => type.endsWith('file'))
    expect(files).toMatchObject([
      { type: 'reasoning-file', mediaType: 'image/png', bytes: 18 },
      { type: 'file', mediaType: 'image/png', bytes: 18 },
    ])
    const { blob } = files[1] as unknown as { blob: string }
    expect(Buffer.from(await worker.bus.getBlob('default', blob)).toString()).toBe('an image of a boat')
    const given = server.requests[1]!.contents[1]!.parts.flatMap(({ inlineData }) =>
      inlineData ? [inlineData.data] : [],
    )
    expect(given).toEqual([draft, image])
  })

  it('sources and citations: kept, and not given back but in the words of the provider', async () => {
    const grounding = { uri: 'https://example.org/tide', title: 'Tides' }
    await using google = await googleServer({ text: 'High at noon.', grounding })
    expect((await run(models.google(google.url))).results[0]!.content).toContainEqual(
      expect.objectContaining({ type: 'source', sourceType: 'url', url: grounding.uri, title: 'Tides' }),
    )
    const citation = {
      type: 'web_search_result_location',
      cited_text: 'High tide is at noon.',
      url: 'https://example.org/tide',
      title: 'Tides',
      encrypted_index: 'Eo8B+c2VjcmV0',
    }
    await using anthropic = await anthropicServer({ text: 'High at noon.', citation, calls: [call] }, { text: 'Done.' })
    const { results } = await run(models.anthropic(anthropic.url))
    expect(results[0]!.content).toContainEqual(
      expect.objectContaining({
        type: 'text',
        citations: [expect.objectContaining({ citedText: citation.cited_text })],
      }),
    )
    expect(anthropic.requests[1]!.messages[1]!.content[0]).toMatchObject({ citations: [citation] })
  })

  it('calls that the provider executed, and their results: no call of this agent, and given back in their place', async () => {
    const used = { type: 'mcp_tool_use', id: 'mcp_1', name: 'tides', server_name: 'sea', input: { at: 'noon' } }
    const came = {
      type: 'mcp_tool_result',
      tool_use_id: 'mcp_1',
      is_error: false,
      content: [{ type: 'text', text: '3 m' }],
    }
    await using server = await anthropicServer(
      { blocks: [used, came], text: 'It is high.', calls: [call] },
      { text: 'Done.' },
    )
    const { results, done } = await run(models.anthropic(server.url))
    expect(results[0]!.toolCalls.map(({ toolName }) => toolName)).toEqual(['step'])
    expect(results[0]!.content).toMatchObject([
      { type: 'tool-call', toolName: 'tides', input: { at: 'noon' }, providerExecuted: true },
      { type: 'tool-result', toolCallId: 'mcp_1', result: [{ text: '3 m' }] },
      { type: 'text' },
      { type: 'tool-call' },
    ])
    expect(server.requests[1]!.messages[1]!.content).toMatchObject([used, came, { type: 'text' }, { type: 'tool_use' }])
    expect(done.data).toMatchObject({ output: 'Done.' })
  })

  it('parts of a kind that only the provider knows: kept, and given back', async () => {
    const fallback = { type: 'fallback', from: { model: 'claude-a' }, to: { model: 'claude-b' } }
    await using server = await anthropicServer({ blocks: [fallback], text: 'Hm.', calls: [call] }, { text: 'Done.' })
    const { results } = await run(models.anthropic(server.url))
    expect(results[0]!.content![0]).toMatchObject({ type: 'custom', kind: 'anthropic.fallback' })
    expect(server.requests[1]!.messages[1]!.content[0]).toEqual(fallback)
  })

  it('a request of the provider that a person approve a tool of its own: fails, and says so', async () => {
    const asks = { type: 'mcp_approval_request', id: 'mcpr_1', name: 'pay', arguments: '{}', server_label: 'bank' }
    await using server = await openaiResponsesServer({ items: [asks] })
    expect((await run(models.openai(server.url))).done.data).toMatchObject({
      error: { code: 'E_MODEL_FAILED', message: expect.stringContaining('approve') },
    })
  })

  it('warnings, the id of the response, and the finish reason as the provider has it', async () => {
    await using server = await openaiServer({ text: '{"n":1}' })
    const { results } = await run(models.compatible(server.url), { agent: { output: z.object({ n: z.number() }) } })
    expect(results[0]).toMatchObject({
      warnings: [{ type: 'unsupported', feature: 'responseFormat' }],
      response: { id: 'chatcmpl-scripted', modelId: 'reasoner' },
    })
    await using anthropic = await anthropicServer({ text: 'Hello.' })
    expect((await run(models.anthropic(anthropic.url))).results[0]).toMatchObject({
      finish: 'stop',
      rawFinish: 'end_turn',
      response: { id: 'msg_1', modelId: 'claude' },
      metadata: { anthropic: expect.any(Object) },
    })
  })

  it('tokens: those that were cached, and those of the reasoning', async () => {
    await using compatible = await openaiServer({
      text: 'Hi.',
      usage: { prompt: 9, completion: 5, cached: 4, reasoning: 3 },
    })
    expect((await run(models.compatible(compatible.url))).results[0]!.usage).toEqual({
      input: 9,
      output: 5,
      cached: 4,
      reasoning: 3,
    })
    const usage = { input: 2, output: 5, cacheRead: 3, cacheWrite: 4 }
    await using anthropic = await anthropicServer({ text: 'Hi.', usage })
    expect((await run(models.anthropic(anthropic.url))).results[0]!.usage).toEqual({
      input: 9,
      output: 5,
      cached: 3,
      cacheWrite: 4,
    })
    await using google = await googleServer({ text: 'Hi.', usage: { prompt: 9, output: 5, thoughts: 3, cached: 4 } })
    expect((await run(models.google(google.url))).results[0]!.usage).toEqual({
      input: 9,
      output: 8,
      cached: 4,
      reasoning: 3,
    })
    await using openai = await openaiResponsesServer({
      text: 'Hi.',
      usage: { input: 9, output: 5, cached: 4, reasoning: 3 },
    })
    expect((await run(models.openai(openai.url))).results[0]!.usage).toEqual({
      input: 9,
      output: 5,
      cached: 4,
      reasoning: 3,
    })
  })
})
