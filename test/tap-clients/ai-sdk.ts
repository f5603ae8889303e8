import { anthropic } from '@ai-sdk/anthropic'
import { openai } from '@ai-sdk/openai'
import { generateText, isStepCount, streamText, tool } from 'ai'
import { z } from 'zod'

/* Agents of the AI SDK, as its documentation has them. They know nothing of a tap. */

const tools = {
  tide_table: tool({
    description: 'Times of high water.',
    inputSchema: z.object({ place: z.string() }),
    execute: async ({ place }) => `High water at ${place}: 14:20`,
  }),
  free_berth: tool({
    description: 'Finds a free berth.',
    inputSchema: z.object({ place: z.string(), length: z.number() }),
    execute: async ({ place, length }) => `Berth 7 at ${place} is free for ${length} m`,
  }),
}
const models = { responses: openai('gpt-5.2'), chat: openai.chat('gpt-4.1'), anthropic: anthropic('claude-sonnet-5') }

for (const [name, model] of Object.entries(models)) {
  const options = { model, tools, instructions: 'You help skippers.', stopWhen: isStepCount(5) }
  const { text, steps } = await generateText({ ...options, prompt: `When can we land at Kiel with ai-sdk ${name}?` })
  console.log(JSON.stringify({ name, text, steps: steps.length }))
  const streamed = streamText({ ...options, prompt: `When can we land at Kiel with ai-sdk ${name} streaming?` })
  console.log(
    JSON.stringify({ name: `${name} streaming`, text: await streamed.text, steps: (await streamed.steps).length }),
  )
}
