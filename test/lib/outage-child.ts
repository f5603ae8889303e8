import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { agent } from '../../src/agents/agent.ts'
import { model } from '../../src/models/model.ts'
import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'

/* A worker that asks a provider, and says who it is: `node outage-child.ts PLACE URL`, where the log is, as JSON. */

process.on('disconnect', () => process.exit())
const place = JSON.parse(process.argv[2]!) as { home: string; bus: string }
const headers = { 'x-pid': String(process.pid) }
const provider = createOpenAICompatible({ name: 'away', baseURL: process.argv[3]!, headers })
const writer = agent('writer', {
  on: 'question',
  model: model(provider.chatModel('m'), { name: 'gpt', limit: 20 }),
  instructions: 'Answer.',
})
await start(app({ name: 'test', use: [writer] }), { ...place, only: ['agents', 'models'] })
process.send?.('ready')
