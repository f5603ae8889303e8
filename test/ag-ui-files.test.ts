import { HttpAgent } from '@ag-ui/client'
import { expect, it } from 'vitest'
import { TidingsAgent } from '../src/ag-ui/index.ts'
import { agent } from '../src/agents/agent.ts'
import type { Principal } from '../src/gateway/identity/principal.ts'
import { model } from '../src/models/model.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { Pen } from './lib/pen.ts'
import { plainModel } from './lib/plain-model.ts'
import { onAnyBus } from './lib/world.ts'

/* Files and sources in AG-UI, in both directions. */

const ann: Principal = { tenant: 'default', user: 'ann', may: () => true }
const fetchAs =
  (running: RunningApp): typeof fetch =>
  (url, init) =>
    running.fetchAs(ann, new Request(url, init))

onAnyBus(world => {
  it('passes files and what the user sees on to the model, and shows files again', async () => {
    const { model: languageModel, asked } = plainModel(() => 'A tide.')
    const chat = agent('chat', { model: model(languageModel), instructions: 'Chat.' })
    const running = await (await world()).worker({ use: [chat] })
    const about = { url: 'http://shop.example/ag-ui/chat', threadId: 'c1', fetch: fetchAs(running) }
    const client = new HttpAgent(about)
    const source = { type: 'data' as const, value: Buffer.from('pixels').toString('base64'), mimeType: 'image/png' }
    client.addMessage({
      id: 'm1',
      role: 'user',
      content: [
        { type: 'text', text: 'What is it?' },
        { type: 'image', source },
      ],
    })
    await client.runAgent({ context: [{ description: 'Page', value: 'Pictures' }] })
    expect(asked[0]![1]!.content).toMatchObject([
      { type: 'text', text: 'What the user sees:\nPage: Pictures' },
      { type: 'text', text: 'What is it?' },
      { type: 'file', mediaType: 'image/png' },
    ])
    // The same message again is the same task.
    await client.runAgent()
    expect(asked).toHaveLength(1)
    const shown = new TidingsAgent(about)
    await shown.connectAgent()
    const parts = shown.messages[0]!.content as { type: string; source?: { value: string } }[]
    expect(parts.map(({ type }) => type)).toEqual(['text', 'image'])
    const image = await fetchAs(running)(parts[1]!.source!.value)
    expect(await image.text()).toBe('pixels')
  })

  it('shows what a model cites and draws, also after a reload, and takes no file of another server for an attachment', async () => {
    const pen = new Pen()
    const writer = agent('writer', { model: model(pen.model), instructions: 'Write.' })
    const running = await (await world()).worker({ use: [writer] })
    const fetch = fetchAs(running)
    const about = { url: 'http://shop.example/ag-ui/writer', threadId: 'c1', fetch }
    const client = new HttpAgent(about)
    const evil = `https://evil.example/blobs/sha256-${'0a'.repeat(32)}`
    const source = { type: 'url' as const, value: evil, mimeType: 'text/plain' }
    client.addMessage({ id: 'm1', role: 'user', content: [{ type: 'document', source }] })
    const done = client.runAgent()
    const sheet = await pen.sheet()
    sheet.write('A tide. ')
    sheet.part({ type: 'source', sourceType: 'url', id: 's1', url: 'https://sea.example', title: 'The sea' })
    sheet.part({ type: 'source', sourceType: 'document', id: 's2', mediaType: 'text/plain', title: 'Notes' })
    const data = Buffer.from('pixels').toString('base64')
    sheet.part({ type: 'file', mediaType: 'image/png', data: { type: 'data', data } })
    sheet.end()
    await done
    const reloaded = new TidingsAgent(about)
    await reloaded.connectAgent()
    for (const { messages } of [client, reloaded]) {
      expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'activity', 'activity'])
      expect(messages.slice(2)).toMatchObject([
        {
          activityType: 'sources',
          content: {
            sources: [
              { url: 'https://sea.example', title: 'The sea' },
              { mediaType: 'text/plain', title: 'Notes' },
            ],
          },
        },
        { activityType: 'files', content: { files: [{ mediaType: 'image/png' }] } },
      ])
      const { files } = messages[3]!.content as unknown as { files: { url: string }[] }
      expect(await (await fetch(files[0]!.url)).text()).toBe('pixels')
    }
    expect(reloaded.messages[0]).toMatchObject({ content: [{ source: { value: evil } }] })
  })
})
