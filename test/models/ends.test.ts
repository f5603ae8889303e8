import { stripVTControlCharacters } from 'node:util'
import type { LanguageModelV4 } from '@ai-sdk/provider'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { buildTraceTree } from '../../src/trace/build-tree.ts'
import { render } from '../../src/trace/render.ts'
import { anthropicServer } from '../lib/providers/anthropic.ts'
import { googleServer } from '../lib/providers/google.ts'
import { models, walk } from '../lib/providers/models.ts'
import { openaiResponsesServer } from '../lib/providers/openai.ts'
import { onAnyBus } from '../lib/world.ts'

/* How a step ended, as each provider says it; the rules themselves are in src/agents/finish.test.ts. */

onAnyBus(world => {
  const run = async (model: LanguageModelV4, options?: Parameters<typeof walk>[2]) =>
    walk(await world(), model, options)
  const failedWith = (code: string, text = '') => ({ error: { code, message: expect.stringContaining(text) } })

  describe('the limit of output tokens', () => {
    it.each([
      [
        'a provider that speaks the OpenAI protocol',
        () => openaiServer({ text: 'Once upon ', finish: 'length' }, { text: 'a time.' }),
        models.compatible,
      ],
      [
        'Anthropic',
        () => anthropicServer({ text: 'Once upon ', stop: 'max_tokens' }, { text: 'a time.' }),
        models.anthropic,
      ],
      ['Gemini', () => googleServer({ text: 'Once upon ', finish: 'MAX_TOKENS' }, { text: 'a time.' }), models.google],
      [
        'OpenAI',
        () => openaiResponsesServer({ text: 'Once upon ', incomplete: 'max_output_tokens' }, { text: 'a time.' }),
        models.openai,
      ],
    ] as const)('is gone beyond: %s', async (_, serve, model) => {
      await using server = await serve()
      expect((await run(model(server.url))).done.data).toMatchObject({ output: 'Once upon a time.' })
      expect(JSON.stringify(server.requests[1])).toContain('Go on exactly where it stopped')
    })

    it.each([
      [
        'a provider that speaks the OpenAI protocol',
        () =>
          openaiServer({ toolCalls: [{ name: 'step', arguments: '{"n": 1' }], finish: 'length' }, { text: 'Sorry.' }),
        models.compatible,
      ],
      [
        'Anthropic',
        () =>
          anthropicServer(
            { thinking: 'Hm.', calls: [{ name: 'step', input: '{"n": 1' }], stop: 'max_tokens' },
            { text: 'Sorry.' },
          ),
        models.anthropic,
      ],
      [
        'Anthropic, before any of them',
        () =>
          anthropicServer(
            { thinking: 'Hm.', calls: [{ name: 'step', input: '' }], stop: 'max_tokens' },
            { text: 'Sorry.' },
          ),
        models.anthropic,
      ],
      [
        'OpenAI, which gives no call then',
        () =>
          openaiResponsesServer(
            { calls: [{ name: 'step', input: '{"n": 1' }], incomplete: 'max_output_tokens' },
            { text: 'Sorry.' },
          ),
        models.openai,
      ],
    ] as const)('within the arguments of a call is told: %s', async (_, serve, model) => {
      await using server = await serve()
      const { done, events } = await run(model(server.url))
      expect(done.data).toMatchObject({ output: 'Sorry.' })
      expect(events.map(({ type }) => type)).not.toContain('tool.invoke')
      expect(events.find(({ type }) => type === 'tool.failed')!.data).toMatchObject(
        failedWith('E_MODEL_LENGTH', 'cut off'),
      )
      expect(JSON.stringify(server.requests[1])).toContain('cut off')
    })

    it('within output of a declared shape is reported to the model', async () => {
      await using server = await openaiServer({ text: '{"n": ', finish: 'length' }, { text: '{"n": 1}' })
      const { done } = await run(models.compatible(server.url), { agent: { output: z.object({ n: z.number() }) } })
      expect(done.data).toMatchObject({ output: { n: 1 } })
      expect(JSON.stringify(server.requests[1]!.body)).toContain('shorter')
    })

    it('fails the task where the agent says so, and the trace shows it', async () => {
      await using server = await openaiServer({ text: 'Half', finish: 'length' })
      const { done, events } = await run(models.compatible(server.url), { agent: { finish: { length: 'fail' } } })
      expect(done.data).toMatchObject(failedWith('E_MODEL_LENGTH'))
      const lines = stripVTControlCharacters(render({ ...buildTraceTree(events), replays: new Map() }, 160).join('\n'))
      expect(lines).toMatch(/model deep\.chat\/reasoner .* length\n/)
      expect(lines).toContain('E_MODEL_LENGTH')
    })
  })

  describe('a refusal', () => {
    it.each([
      ['a provider that speaks the OpenAI protocol', () => openaiServer({ refusal: 'I will not.' }), models.compatible],
      ['Anthropic', () => anthropicServer({ text: 'I will not.', stop: 'refusal' }), models.anthropic],
      ['OpenAI', () => openaiResponsesServer({ refusal: 'I will not.' }), models.openai],
    ] as const)('fails the task: %s', async (_, serve, model) => {
      await using server = await serve()
      expect((await run(model(server.url))).done.data).toMatchObject(failedWith('E_MODEL_REFUSED', 'I will not.'))
    })
  })

  describe('a content filter', () => {
    it.each([
      [
        'a provider that speaks the OpenAI protocol',
        () => openaiServer({ text: 'Half', finish: 'content_filter' }),
        models.compatible,
      ],
      ['Gemini', () => googleServer({ finish: 'SAFETY' }), models.google],
      ['OpenAI', () => openaiResponsesServer({ incomplete: 'content_filter' }), models.openai],
    ] as const)('fails the task: %s', async (_, serve, model) => {
      await using server = await serve()
      expect((await run(model(server.url))).done.data).toMatchObject(failedWith('E_MODEL_FILTERED'))
    })
  })

  describe('an empty answer', () => {
    it.each([
      [
        'a provider that speaks the OpenAI protocol',
        () => openaiServer({ reasoning: 'Hm.' }, { text: 'Here.' }),
        models.compatible,
      ],
      ['Anthropic', () => anthropicServer({ thinking: 'Hm.' }, { text: 'Here.' }), models.anthropic],
      ['Gemini', () => googleServer({ thought: 'Hm.' }, { text: 'Here.' }), models.google],
      ['OpenAI', () => openaiResponsesServer({ reasoning: 'Hm.' }, { text: 'Here.' }), models.openai],
    ] as const)('is asked for again, without the reasoning that nothing followed: %s', async (_, serve, model) => {
      await using server = await serve()
      expect((await run(model(server.url))).done.data).toMatchObject({ output: 'Here.' })
    })
  })

  it('a reason that is not known fails the task', async () => {
    await using server = await openaiServer({ text: 'Half', finish: 'abort' })
    expect((await run(models.compatible(server.url))).done.data).toMatchObject(
      failedWith('E_MODEL_UNFINISHED', 'abort'),
    )
  })

  it('a call that Gemini could not write is asked for again, as a stream that broke off is', async () => {
    await using server = await googleServer({ finish: 'MALFORMED_FUNCTION_CALL' }, { text: 'Here.' })
    expect((await run(models.google(server.url))).done.data).toMatchObject({ output: 'Here.' })
    expect(server.requests).toHaveLength(2)
  })
})
