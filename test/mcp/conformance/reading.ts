import { z } from 'zod'
import { approval } from '../../../src/index.ts'
import { prompt, resource } from '../../../src/mcp/index.ts'

/* Prompts and resources, by the names that the conformance suite gives them. */

export const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='

const context = approval<string, { context: string }>('user_context', { form: z.object({ context: z.string() }) })

export const prompts = [
  prompt('test_simple_prompt', { description: 'A simple prompt.', run: () => 'This is a simple prompt for testing.' }),
  prompt('test_prompt_with_arguments', {
    description: 'A prompt with arguments.',
    input: z.object({ arg1: z.string(), arg2: z.string() }),
    run: (_, { arg1, arg2 }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`,
  }),
  prompt('test_prompt_with_embedded_resource', {
    description: 'A prompt with a resource.',
    input: z.object({ resourceUri: z.string() }),
    run: (_, { resourceUri: uri }) => [
      { role: 'user', content: { type: 'resource', resource: { uri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } } },
      { role: 'user', content: 'Please process the embedded resource above.' },
    ], // biome-ignore format: one message a line
  }),
  prompt('test_prompt_with_image', {
    description: 'A prompt with an image.',
    run: () => [
      { role: 'user', content: { type: 'image', data: png, mimeType: 'image/png' } },
      { role: 'user', content: 'Please analyze the image above.' },
    ],
  }),
  prompt('test_input_required_result_prompt', {
    description: 'A prompt that asks for more.',
    run: async ctx => `Context: ${(await ctx.call(context, 'What context should the prompt use?')).content?.context}`,
  }),
]

export const resources = [
  resource('static_text', {
    uri: 'test://static-text',
    description: 'A text.',
    run: () => 'This is the content of the static text resource.',
  }),
  resource('static_binary', {
    uri: 'test://static-binary',
    description: 'An image.',
    run: () => ({ contents: [{ uri: 'test://static-binary', mimeType: 'image/png', blob: png }] }),
  }),
  resource('template', {
    uri: 'test://template/{id}/data',
    description: 'Data by its id.',
    run: (_, { id }) => ({ id, templateTest: true, data: `Data for ID: ${id}` }),
  }),
]
