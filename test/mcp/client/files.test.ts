import assert from 'node:assert/strict'
import { it } from 'vitest'
import { z } from 'zod'
import { agent } from '../../../src/agents/agent.ts'
import { app } from '../../../src/runtime/app.ts'
import { callTool, reply, type ScriptedRequest } from '../../../src/testing/scripted-model.ts'
import { testApp } from '../../../src/testing/test-app.ts'
import { offlineModel } from '../../../src/models/offline/language-model.ts'
import { tool } from '../../../src/tools/tool.ts'
import { pixel } from './lib/tools-server.ts'

it('a model gets the files that a tool returns, and not their references', async () => {
  const draw = tool('draw', { description: 'Draws.', input: z.object({}), run: () => null })
  const painter = agent('painter', { model: offlineModel(), instructions: 'Draw.', tools: [draw] })
  const requests: ScriptedRequest[] = []
  const answers = [callTool('draw', {}), reply('A pixel.')]
  let blob = ''
  await using world = await testApp(app({ use: [painter, draw] }), {
    model: request => (requests.push(request), answers[requests.length - 1]!),
    tools: {
      draw: () => [
        { type: 'text', text: 'Here:' },
        { type: 'file', mediaType: 'image/png', blob },
      ],
    },
  })
  const bytes = Buffer.from(pixel, 'base64')
  blob = (await world.running.bus.putBlob('default', bytes)).blob
  assert.equal(await (await world.ask(painter, 'Draw a pixel.')).result(), 'A pixel.')
  const answer = requests[1]!.prompt.at(-1)!
  assert(answer.role === 'tool')
  const [part] = answer.content
  assert(part?.type === 'tool-result')
  const { output } = part
  assert(output.type === 'content')
  assert.deepEqual(output.value[0], { type: 'text', text: 'Here:' })
  const file = output.value[1]!
  assert(file.type === 'file' && file.data.type === 'data')
  assert.deepEqual(Buffer.from(file.data.data as Uint8Array), bytes)
})
