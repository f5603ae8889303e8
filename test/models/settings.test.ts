import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { agent, model, tool } from '../../src/index.ts'
import { plainModel } from '../lib/plain-model.ts'
import { lines } from '../lib/reading.ts'
import { ask, eventsOf, onAnyBus } from '../lib/world.ts'

/* What an agent and its model set reaches the provider, and `why` shows it. */

onAnyBus(world => {
  test('settings, tool choice and cache hints reach the provider', async () => {
    const seen: LanguageModelV4CallOptions[] = []
    const { model: plain } = plainModel(() => (seen.length === 1 ? [{ id: 'c', tool: 'look', input: {} }] : 'Done.'))
    const watched = {
      ...plain,
      doStream: (options: LanguageModelV4CallOptions) => (seen.push(options), plain.doStream(options)),
    }
    const look = tool('look', { description: 'Looks.', input: z.object({}), run: () => 'seen' })
    const writer = agent('writer', {
      on: 'question',
      model: model(watched, { maxOutputTokens: 50, temperature: 1 }),
      instructions: 'Write.',
      tools: [look],
      temperature: 0.2,
      stopSequences: ['END'],
      providerOptions: { test: { tier: 'flex' } },
      toolChoice: look,
      cache: true,
    })
    const log = await world()
    const worker = await log.worker({ use: [writer, look] })
    const { correlationid } = await ask(worker, { type: 'question', data: 'Why?' })
    const hint = { anthropic: { cacheControl: { type: 'ephemeral' } } }
    expect(seen).toMatchObject([
      {
        maxOutputTokens: 50,
        temperature: 0.2,
        stopSequences: ['END'],
        providerOptions: { test: { tier: 'flex' } },
        toolChoice: { type: 'tool', toolName: 'look' },
        prompt: [
          { role: 'system', providerOptions: hint },
          { role: 'user', providerOptions: hint },
        ],
      },
      { temperature: 0.2, prompt: [{ providerOptions: hint }, {}, {}, { role: 'tool', providerOptions: hint }] },
    ])
    expect(seen[1]).not.toHaveProperty('toolChoice')
    expect(seen[1]!.prompt[1]).not.toHaveProperty('providerOptions')
    const invoke = (await eventsOf(worker, correlationid)).find(({ type }) => type === 'model.invoke')!
    expect(await lines(log.place, 'why', invoke.id)).toMatch(/settings +\S*\{?.*temperature/)
  })
})
