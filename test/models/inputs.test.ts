import type { LanguageModelV4Prompt } from '@ai-sdk/provider'
import { expect, test } from 'vitest'
import { agent } from '../../src/index.ts'
import { plainModel } from '../lib/plain-model.ts'
import { ask, eventsOf, onAnyBus } from '../lib/world.ts'

/* What a model gets to read of the input of a task. */

onAnyBus(world => {
  const userIn = (prompt: LanguageModelV4Prompt | undefined) => prompt!.find(({ role }) => role === 'user')!.content

  test('files of the input reach the model as bytes, and are on the log as blobs only', async () => {
    const { model, asked } = plainModel(() => 'A boat.')
    const helper = agent('helper', { model, instructions: 'Look.' })
    const worker = await (await world()).worker({ use: [helper] })
    const bytes = Buffer.from('boat'.repeat(100))
    const { blob } = await worker.bus.putBlob('default', bytes)
    const image = { type: 'file', mediaType: 'image/png', filename: 'boat.png' }
    const handle = await worker.ask(helper, [
      'What is this?',
      { ...image, blob },
      { ...image, url: 'https://example.org/boat.png' },
      { ...image, blob: `sha256-${'0'.repeat(64)}` },
    ])
    expect(await handle.result({ within: '20s' })).toBe('A boat.')
    expect(userIn(asked[0])).toMatchObject([
      { type: 'text', text: 'What is this?' },
      { ...image, data: { type: 'data' } },
      { ...image, data: { type: 'url', url: new URL('https://example.org/boat.png') } },
      { type: 'text', text: '(the file was removed)' },
    ])
    const content = userIn(asked[0]) as unknown as { data: { data: Uint8Array } }[]
    expect(Buffer.from(content[1]!.data.data)).toEqual(bytes)
    const events = JSON.stringify(await eventsOf(worker, handle.correlation))
    expect(events).not.toContain(bytes.toString('base64').slice(0, 40))
    expect(events).toContain(blob)
  })

  test('an event is what the agent makes of it, with its own instructions', async () => {
    const { model, asked } = plainModel(() => 'Shipped.')
    const clerk = agent('clerk', {
      on: 'order.placed',
      model,
      instructions: ({ language }: { language: string }) => `Answer in ${language}.`,
      prompt: ({ item }: { item: string }) => [`Ship the ${item}`, { type: 'text', text: 'soon' }],
    })
    const worker = await (await world()).worker({ use: [clerk] })
    await ask(worker, { type: 'order.placed', data: { item: 'tea', language: 'German' } })
    expect(asked[0]).toMatchObject([
      { role: 'system', content: 'Answer in German.' },
      { role: 'user', content: [{ text: 'Ship the tea' }, { text: 'soon' }] },
    ])
  })
})
