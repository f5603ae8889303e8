import type { LanguageModelV4 } from '@ai-sdk/provider'
import { describe, expect, it, test } from 'vitest'
import { redactor, type Redaction } from '../../src/bus/redact.ts'
import { createEvent } from '../../src/event.ts'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { anthropicServer } from '../lib/providers/anthropic.ts'
import { googleServer } from '../lib/providers/google.ts'
import { models, walk } from '../lib/providers/models.ts'
import { openaiResponsesServer } from '../lib/providers/openai.ts'
import { onAnyBus } from '../lib/world.ts'

/* What a provider signed, where redaction is at work. */

// Found in the signatures and ids of the scripted servers.
const everywhere: Redaction = { patterns: [{ name: 'token', match: /Ab1_|c2lnbm|gAAAAAB|rs_|msg_/ }] }
const staff: Redaction = { patterns: [{ name: 'staff', match: /E\d{6}/ }] }
const call = { name: 'step', input: { n: 1 } }

onAnyBus(world => {
  const run = async (model: LanguageModelV4, redact: Redaction) => walk(await world(), model, { redact })

  describe('a signature in which a rule would find something by chance is left alone', () => {
    it('on Anthropic', async () => {
      await using server = await anthropicServer({ thinking: 'Hm.', calls: [call] }, { text: 'Done.' })
      const { results } = await run(models.anthropic(server.url), everywhere)
      expect(server.refused).toEqual([])
      expect(server.requests).toHaveLength(2)
      expect(results[0]!.content![0]).not.toHaveProperty('redacted')
    })

    it('on Gemini', async () => {
      await using server = await googleServer(
        { thought: 'Hm.', calls: [{ name: 'step', args: { n: 1 } }] },
        { text: 'Done.' },
      )
      await run(models.google(server.url), everywhere)
      expect(server.refused).toEqual([])
      expect(server.requests).toHaveLength(2)
    })

    it('on OpenAI', async () => {
      await using server = await openaiResponsesServer({ reasoning: 'Hm.', calls: [call] }, { text: 'Done.' })
      await run(models.openai(server.url, false), everywhere)
      expect(server.refused).toEqual([])
      expect(server.requests).toHaveLength(2)
    })
  })

  describe('reasoning that had to be redacted', () => {
    const secret = 'They are E493021.'
    const clean = 'They are [redacted staff].'

    it('is not given back to Anthropic, which signed another text; thinking is off until the next message', async () => {
      await using server = await anthropicServer(
        { thinking: secret, calls: [call] },
        { text: 'I go on.', calls: [call] },
        { text: 'Done.' },
      )
      const { done, results, events } = await run(models.anthropic(server.url), staff)
      expect(server.refused).toEqual([])
      expect(done.data).toMatchObject({ output: 'Done.' })
      expect(results[0]).toMatchObject({ reasoning: clean, content: [{ type: 'reasoning', redacted: true }, {}] })
      expect(server.requests.map(({ thinking }) => thinking?.type)).toEqual(['enabled', 'disabled', 'disabled'])
      expect(JSON.stringify([events, server.requests.slice(1)])).not.toContain('E493021')
    })

    it('is not given back to OpenAI either, nor by reference', async () => {
      await using server = await openaiResponsesServer(
        { reasoning: secret, text: 'I look.', calls: [call] },
        { text: 'Done.' },
      )
      const { done } = await run(models.openai(server.url), staff)
      expect(server.refused).toEqual([])
      expect(done.data).toMatchObject({ output: 'Done.' })
      expect(server.requests[1]!.input.filter(({ id }) => id?.startsWith('rs_'))).toEqual([])
    })

    it('goes back redacted to a provider that signs nothing', async () => {
      await using server = await openaiServer({ text: secret, reasoning: secret }, { text: 'Done.' })
      const { done } = await run(models.compatible(server.url), staff)
      expect(done.data).toMatchObject({ output: clean })
    })
  })

  it('a redacted text goes back to the model as it is on the log, and not by reference', async () => {
    await using server = await openaiResponsesServer({ text: 'Ask E493021.', calls: [call] }, { text: 'Done.' })
    const { results } = await run(models.openai(server.url), staff)
    expect(results[0]!.content![0]).toEqual({ type: 'text' })
    expect(server.requests[1]!.input).toContainEqual(expect.objectContaining({ content: 'Ask [redacted staff].' }))
  })

  it('arguments that had to be redacted keep the signature of their call', async () => {
    const calls = [{ name: 'step', args: { n: 1, who: 'E493021' } }]
    await using server = await googleServer({ calls }, { text: 'Done.' })
    const { done } = await run(models.google(server.url), staff)
    expect(done.data).toMatchObject({ output: 'Done.' })
    expect(JSON.stringify(server.requests)).not.toContain('E493021')
  })
})

describe('the answer of a model', () => {
  const opaque = `ghp_${'a1B2'.repeat(9)}`
  const answer = (content: unknown) =>
    createEvent({
      type: 'model.result',
      data: { model: 'm', text: 'Hi.', toolCalls: [], finish: 'stop', usage: {}, content },
    })
  const partOf = (part: unknown, rules?: Redaction) => {
    const clean = redactor(rules).event(answer([part]))
    // Twice is as good as once.
    expect(redactor(rules).event(clean)).toBe(clean)
    return (clean.data as { content: unknown[] }).content[0]
  }

  test.each([
    'signature',
    'thoughtSignature',
    'redactedData',
    'reasoningEncryptedContent',
    'itemId',
    'encrypted_index',
  ])('keeps what is opaque in %s', name => {
    const part = { type: 'reasoning', text: 'Hm.', providerMetadata: { some: { [name]: opaque } } }
    expect(partOf(part)).toBe(part)
  })

  test.each([
    ['under another name', { title: opaque }],
    ['in words', { signature: `this is ${opaque}` }],
    ['in a name', { [opaque]: 1 }],
    ['in a list', { citations: [{ cited_text: `it says ${opaque}` }] }],
  ])('redacts a secret in what a provider says of it: %s', (_, metadata) => {
    expect(JSON.stringify(partOf({ type: 'text', providerMetadata: { some: metadata } }))).not.toContain(opaque)
  })

  test('redacts opaque names anywhere else', () => {
    const event = createEvent({ type: 'order.paid', data: { providerMetadata: { some: { signature: opaque } } } })
    expect(JSON.stringify(redactor().event(event))).not.toContain(opaque)
  })

  test('drops a signature whose text a declared path replaced', () => {
    const part = { type: 'reasoning', text: 'Hm.', providerMetadata: { some: { signature: 'abc' } } }
    const clean = partOf(part, { paths: ['model.result:data.content.*.text'] })
    expect(clean).toEqual({ type: 'reasoning', text: '[redacted data.content.*.text]', redacted: true })
  })

  test('leaves no half of a secret that reaches over parts', () => {
    const halves = [opaque.slice(0, 20), opaque.slice(20)]
    const content = ['text', 'reasoning'].flatMap(type => halves.map(text => ({ type, text })))
    const event = answer(content)
    const data = { ...(event.data as object), text: opaque, reasoning: opaque }
    const clean = redactor().event({ ...event, data })
    expect(clean.data).toMatchObject({
      text: '[redacted github-token]',
      content: [{ type: 'text' }, { type: 'reasoning', redacted: true }, { type: 'reasoning', redacted: true }],
    })
    for (const half of halves) expect(JSON.stringify(clean)).not.toContain(half)
    expect(redactor().event(clean)).toBe(clean)
  })
})
