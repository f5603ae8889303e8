import { createReactAgent } from '@langchain/langgraph/prebuilt'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI } from '@langchain/openai'

/* An agent of LangGraph, as its documentation has it. It knows nothing of a tap: OPENAI_BASE_URL and OPENAI_API_KEY come from the environment. */

const place = { type: 'string', description: 'A harbour' }
const tideTable = tool(async ({ place }) => `High water at ${place}: 14:20`, {
  name: 'tide_table',
  description: 'Times of high water.',
  schema: { type: 'object', properties: { place }, required: ['place'] },
})
const freeBerth = tool(async ({ place, length }) => `Berth 7 at ${place} is free for ${length} m`, {
  name: 'free_berth',
  description: 'Finds a free berth.',
  schema: { type: 'object', properties: { place, length: { type: 'number' } }, required: ['place', 'length'] },
})

const isStreaming = process.argv[2] === 'streaming'
const llm = new ChatOpenAI({ model: 'gpt-5.2' })
const agent = createReactAgent({ llm, tools: [tideTable, freeBerth], prompt: 'You help skippers.' })
const content = `When can we land at Kiel with langgraph${isStreaming ? ' streaming' : ''}?`
const input = { messages: [{ role: 'user', content }] }
if (isStreaming) {
  let text = ''
  for await (const [chunk] of await agent.stream(input, { streamMode: 'messages' }))
    if (chunk.getType() === 'ai' && typeof chunk.content === 'string') text += chunk.content
  console.log(JSON.stringify({ text }))
} else {
  const { messages } = await agent.invoke(input)
  console.log(JSON.stringify({ messages: messages.length, text: messages.at(-1).content }))
}
