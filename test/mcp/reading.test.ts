import { expect, test } from 'vitest'
import { z } from 'zod'
import { tool } from '../../src/tools/tool.ts'
import { app } from '../../src/runtime/app.ts'
import { approval } from '../../src/tasks/approval.ts'
import { prompt, resource } from '../../src/mcp/index.ts'
import { embeddedWorld } from '../lib/world.ts'
import { asks, eras, httpClient, post, type Form } from './clients.ts'
import { gatewayOn } from './shop.ts'

/* Prompts and resources of an app, as clients of both eras see them. */

const lookup = tool('lookup', {
  description: 'Finds an order.',
  input: z.object({ order: z.string() }),
  readOnly: true,
  run: ({ order }) => (order === 'none' ? null : { order, state: 'paid' }),
})

const tone = approval<string, { tone: string }>('tone', { form: z.object({ tone: z.string() }) })

const members = [
  prompt('orders.review', {
    title: 'Review an order',
    description: 'Reviews an order.',
    input: z.object({ order: z.string().describe('Its number'), depth: z.enum(['quick', 'quiet', 'long']).optional() }),
    async run(ctx, { order }) {
      const { content } = await ctx.call(tone, 'In which tone?')
      return [
        {
          role: 'user',
          content: `Review ${JSON.stringify(await ctx.call(lookup, { order }))} in a ${content?.tone} tone.`,
        },
        { role: 'assistant', content: [{ type: 'text', text: 'Gladly.' }] },
      ]
    },
  }),
  resource('menu', { uri: 'shop://menu', mediaType: 'text/markdown', run: () => '# Tea' }),
  resource('orders', {
    uri: 'shop://orders/{order}',
    complete: { order: ['A1', 'A2', 'B1'] },
    run: (ctx, { order }) => ctx.call(lookup, { order }),
  }),
  resource('picture', {
    uri: 'shop://picture/{blob}',
    run: (_, { blob }) => ({ type: 'file', mediaType: 'image/png', blob }),
  }),
]

test.each(eras)(
  'a client of %s lists, completes and reads them, and each reading is a task',
  { timeout: 120_000 },
  async era => {
    const on = await embeddedWorld()
    const { bus } = await on.worker({ name: 'shop', use: [lookup], mcp: members })
    const { url, key } = await gatewayOn(on)
    const forms: Form[] = []
    const onForm = (form: Form) => (forms.push(form), { action: 'accept', content: { tone: 'friendly' } })
    const client = await httpClient(url, era, { key, onForm })

    expect((await client.listPrompts()).prompts).toEqual([
      {
        name: 'orders_review',
        title: 'Review an order',
        description: 'Reviews an order.',
        arguments: [
          { name: 'order', description: 'Its number', required: true },
          { name: 'depth', required: false },
        ],
      },
    ])
    const made = await client.getPrompt({ name: 'orders_review', arguments: { order: 'A1' } })
    expect(made.messages).toEqual([
      { role: 'user', content: { type: 'text', text: 'Review {"order":"A1","state":"paid"} in a friendly tone.' } },
      { role: 'assistant', content: { type: 'text', text: 'Gladly.' } },
    ])
    expect(forms).toEqual([expect.objectContaining({ message: 'In which tone?', requestedSchema: expect.objectContaining({ required: ['tone'] }) })]) // biome-ignore format: one line
    await expect(client.getPrompt({ name: 'orders_review' })).rejects.toThrow('needs "order"')

    expect((await client.listResources()).resources).toEqual([
      expect.objectContaining({ uri: 'shop://menu', name: 'menu', mimeType: 'text/markdown' }),
    ])
    const { resourceTemplates } = await client.listResourceTemplates()
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'shop://orders/{order}',
      'shop://picture/{blob}',
    ])
    expect((await client.readResource({ uri: 'shop://menu' })).contents).toEqual([
      { uri: 'shop://menu', mimeType: 'text/markdown', text: '# Tea' },
    ])
    expect((await client.readResource({ uri: 'shop://orders/A%201' })).contents).toEqual([
      { uri: 'shop://orders/A%201', mimeType: 'application/json', text: '{"order":"A 1","state":"paid"}' },
    ])
    const { blob } = await bus.putBlob('default', Buffer.from('pixels'))
    const pixels = Buffer.from('pixels').toString('base64')
    expect((await client.readResource({ uri: `shop://picture/${blob}` })).contents).toMatchObject([{ mimeType: 'image/png', blob: pixels }]) // biome-ignore format: one line
    expect((await client.readResource({ uri: `blob:${blob}` })).contents).toMatchObject([{ blob: pixels }])
    for (const uri of ['shop://orders/none', 'shop://orders/A/1', 'shop://nothing', 'blob:sha256-x'])
      await expect(client.readResource({ uri })).rejects.toThrow('Resource not found')

    const complete = async (ref: object, name: string, value: string) =>
      (await client.complete({ ref: ref as never, argument: { name, value } })).completion.values
    expect(await complete({ type: 'ref/prompt', name: 'orders_review' }, 'depth', 'qui')).toEqual(['quick', 'quiet'])
    expect(await complete({ type: 'ref/prompt', name: 'orders_review' }, 'order', '')).toEqual([])
    expect(await complete({ type: 'ref/resource', uri: 'shop://orders/{order}' }, 'order', 'a')).toEqual(['A1', 'A2'])
    expect((await asks(bus)).map(({ event }) => event.target)).toContain('mcp-prompt.orders.review')
  },
)

test('what cannot be published is refused when the app is declared, and a client without rights lists nothing', {
  timeout: 120_000,
}, async () => {
  const menu = resource('menu', { uri: 'shop://menu', run: () => '' })
  expect(() => app({ use: [], mcp: [menu, menu] })).toThrow('has the same name as the resource "menu"')
  expect(() => resource('menu', { uri: 'menu', run: () => '' })).toThrow('"menu" is not an address')
  expect(() => resource('menu', { uri: 'shop://{a}', complete: { b: [] }, run: () => '' })).toThrow('no variable "b"')
  const on = await embeddedWorld()
  await on.worker({ name: 'shop', use: [], mcp: [menu] })
  const { url } = await gatewayOn(on)
  const paged = await post(url, 'resources/list', { cursor: 'bm90aGluZw' })
  expect(paged.error).toMatchObject({ code: -32_602, message: expect.stringContaining('cursor') })
})
