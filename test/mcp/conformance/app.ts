import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { app, tool } from '../../../src/index.ts'
import { asking } from './asking.ts'
import { png, prompts, resources } from './reading.ts'

/* What the MCP conformance suite asks a server to offer, as ordinary tools of an app. */

const nothing = z.object({})
const wav = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA='

const fixture = (name: string, description: string, output: unknown) =>
  tool(name, { description, input: nothing, readOnly: true, run: () => output })

const image = { type: 'image', data: png, mimeType: 'image/png' }
const resource = (uri: string, mimeType: string, text: string) => ({
  type: 'resource',
  resource: { uri, mimeType, text },
})

const contents = [
  fixture('test_simple_text', 'Returns a text.', 'This is a simple text response for testing.'),
  fixture('test_image_content', 'Returns an image.', { content: [image] }),
  fixture('test_audio_content', 'Returns audio.', { content: [{ type: 'audio', data: wav, mimeType: 'audio/wav' }] }),
  fixture('test_embedded_resource', 'Returns a resource.', {
    content: [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  }),
  fixture('test_multiple_content_types', 'Returns several contents.', {
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  }),
]

const failing = tool('test_error_handling', {
  description: 'Always fails.',
  input: nothing,
  run: () => {
    throw new Error('This tool intentionally returns an error for testing')
  },
})

const progressing = tool('test_tool_with_progress', {
  description: 'Reports its progress.',
  input: nothing,
  async run(_, context) {
    for (const progress of [0, 50, 100]) context.progress({ progress, total: 100 })
    // Signals may be on their way.
    await setTimeout(200)
    return 'done'
  },
})

/** What tools report are log messages for clients that set a level. */
const logging = ['test_tool_with_logging', 'test_logging_tool'].map(name =>
  tool(name, {
    description: 'Reports what it does.',
    input: nothing,
    async run(_, context) {
      for (const step of ['started', 'processing data', 'completed']) context.progress(`Tool execution ${step}`)
      await setTimeout(200)
      return 'done'
    },
  }),
)

const greet = tool('greet', {
  description: 'Greets.',
  input: z.object({ name: z.string() }),
  readOnly: true,
  run: ({ name }) => `Hello, ${name}!`,
})

const slow = tool('slow_compute', {
  description: 'Takes as long as it is told.',
  input: z.object({ seconds: z.number(), label: z.string().optional() }),
  timeout: '2m',
  async run({ seconds }, { signal }) {
    await setTimeout(seconds * 1_000, undefined, { signal })
    return `computed for ${seconds} seconds`
  },
})

const failingJob = tool('failing_job', {
  description: 'Fails after a while.',
  input: nothing,
  async run() {
    await setTimeout(1_500)
    throw new Error('the job failed')
  },
})

const members = [...contents, failing, progressing, ...logging, greet, slow, failingJob, ...asking]

export default app({ name: 'conformance', use: members, mcp: [...members, ...prompts, ...resources] })
