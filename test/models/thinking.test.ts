import type { LanguageModelV4, LanguageModelV4Message } from '@ai-sdk/provider'
import { isStepCount, streamText, tool as sdkTool, wrapLanguageModel } from 'ai'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { anthropicServer } from '../lib/providers/anthropic.ts'
import { googleServer } from '../lib/providers/google.ts'
import { models, walk } from '../lib/providers/models.ts'
import { openaiResponsesServer } from '../lib/providers/openai.ts'
import { ended, eventsOf, onAnyBus } from '../lib/world.ts'

const tenSteps = Array.from({ length: 10 }, (_, i) => i + 1)
onAnyBus(world => {
  const run = async (model: LanguageModelV4) => walk(await world(), model)

  describe('a loop of ten steps, with two calls and reasoning in each, passes', () => {
    it('on a provider that speaks the OpenAI protocol and wants its reasoning back', async () => {
      await using server = await openaiServer(
        ...tenSteps.map(n => ({
          reasoning: `I am at ${n}.\n\nOn I go. `,
          toolCalls: [1, 2].map(i => ({ id: `c${n}.${i}`, name: 'step', arguments: { n: 2 * n + i } })),
        })),
        { text: 'Arrived.' },
      )
      const { done } = await run(models.compatible(server.url))
      expect(done.data).toMatchObject({ output: 'Arrived.' })
      const answers = server.requests.at(-1)!.body.messages.flatMap(({ tool_call_id: id }) => (id ? [id] : []))
      expect(answers).toEqual(tenSteps.flatMap(n => [`c${n}.1`, `c${n}.2`]))
    })

    it('on Anthropic, with thinking that it encrypted too', async () => {
      await using server = await anthropicServer(
        ...tenSteps.map(n => ({
          thinking: `I am at ${n}. `,
          ...(n % 3 === 0 && { redactedThinking: `encrypted ${n}` }),
          text: 'On I go.',
          calls: [1, 2].map(i => ({ name: 'step', input: { n: 2 * n + i } })),
        })),
        { thinking: 'That was it.', text: 'Arrived.' },
      )
      const { done } = await run(models.anthropic(server.url))
      expect(server.refused).toEqual([])
      expect(done.data).toMatchObject({ output: 'Arrived.' })
    })

    it('on Gemini 3, which signs calls', async () => {
      await using server = await googleServer(
        ...tenSteps.map(n => ({
          thought: `I am at ${n}.`,
          calls: [1, 2].map(i => ({ id: `c${n}.${i}`, name: 'step', args: { n: 2 * n + i } })),
        })),
        { text: 'Arrived.' },
      )
      const { done } = await run(models.google(server.url))
      expect(server.refused).toEqual([])
      expect(done.data).toMatchObject({ output: 'Arrived.' })
    })

    it.each([true, false])('on the Responses API of OpenAI, store: %s', async store => {
      await using server = await openaiResponsesServer(
        ...tenSteps.map(n => ({
          reasoning: `I am at ${n}.`,
          ...(n % 2 === 0 && { text: 'On I go.' }),
          calls: [1, 2].map(i => ({ name: 'step', input: { n: 2 * n + i } })),
        })),
        { text: 'Arrived.' },
      )
      const { done } = await run(models.openai(server.url, store))
      expect(server.refused).toEqual([])
      expect(done.data).toMatchObject({ output: 'Arrived.' })
      const items = server.requests.at(-1)!.input
      const reasoning = items.filter(({ type, id }) => type === 'reasoning' || id?.startsWith('rs_'))
      expect(reasoning).toHaveLength(10)
      if (!store) for (const item of reasoning) expect(item.encrypted_content).toMatch(/^gAAAAAB/)
    })
  })

  it('gives answers back in the order of the calls, whatever order they came in', async () => {
    await using server = await googleServer(
      { calls: [1, 2, 3].map(n => ({ id: `c${n}`, name: 'slow', args: { n } })) },
      { text: 'Done.' },
    )
    const log = await world()
    // Each waits until the one after it has answered.
    const slow = tool('slow', {
      description: 'Takes its time.',
      input: z.object({ n: z.number() }),
      run: async ({ n }) => {
        await until(async () => n === 3 || (await answered()).includes(n + 1), { within: 20_000 })
        return n
      },
    })
    const answered = async () =>
      (await eventsOf(await worker, correlation)).flatMap(({ type, data }) =>
        type === 'tool.result' ? [(data as { output: number }).output] : [],
      )
    const walker = agent('walker', { on: 'go', model: models.google(server.url), instructions: 'Walk.', tools: [slow] })
    const worker = log.worker({ use: [walker, slow] })
    const { correlationid: correlation, id } = await (await worker).bus.publish({ type: 'go', data: 'Go.' })
    expect((await ended(await worker, correlation, id, 20_000)).data).toMatchObject({ output: 'Done.' })
    expect(await answered()).toEqual([3, 2, 1])
    const { parts } = server.requests[1]!.contents.at(-1)!
    expect(parts.map(({ functionResponse }) => functionResponse!.id)).toEqual(['c1', 'c2', 'c3'])
  })
})

/** A provider package as it is used by a loop that keeps no more than texts and calls. */
const forgetful = (model: LanguageModelV4) =>
  wrapLanguageModel({
    model,
    middleware: {
      specificationVersion: 'v4',
      transformParams: async ({ params }) => ({ ...params, prompt: params.prompt.map(forget) }),
    },
  })

function forget(message: LanguageModelV4Message): LanguageModelV4Message {
  if (message.role !== 'assistant') return message
  const kept = message.content.filter(({ type }) => type !== 'reasoning')
  return { role: 'assistant', content: kept.map(part => ({ ...part, providerOptions: {} })) }
}

describe('the scripted servers refuse a loop that forgets, and let the loop of the AI SDK pass', () => {
  const answers = {
    thinking: 'Hm.',
    thought: 'Hm.',
    reasoning: 'Hm.',
    calls: [{ name: 'step', input: { n: 1 }, args: { n: 1 } }],
  }
  const compatible = { reasoning: 'Hm.', toolCalls: [{ name: 'step', arguments: { n: 1 } }] }
  const done = { text: 'Done.' }
  const servers = {
    compatible: () => openaiServer(compatible, done),
    anthropic: () => anthropicServer(answers, done),
    google: () => googleServer(answers, done),
  }

  it.each([
    ['compatible', 'Missing `reasoning_content`'],
    ['anthropic', 'Expected `thinking`'],
    ['google', 'signature'],
  ] as const)('%s', async (name, refusal) => {
    const run = async (wrap: (model: LanguageModelV4) => LanguageModelV4) => {
      await using server = await servers[name]()
      return await generate(wrap(models[name](server.url)))
    }
    await expect(run(forgetful)).rejects.toThrow(refusal)
    expect(await run(model => model)).toBe('Done.')
  })
})

async function generate(model: LanguageModelV4): Promise<string> {
  let failure: unknown
  const result = streamText({
    model,
    prompt: 'Go.',
    tools: { step: sdkTool({ inputSchema: z.object({ n: z.number() }), execute: ({ n }) => ({ n }) }) },
    stopWhen: isStepCount(3),
    maxRetries: 0,
    onError: ({ error }) => void (failure = error),
  })
  await result.consumeStream()
  if (failure) throw failure as Error
  return result.text
}
