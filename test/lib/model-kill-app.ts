import { once } from 'node:events'
import { z } from 'zod'
import { agent, app, model, start, tool } from '../../src/index.ts'
import { Pen } from './pen.ts'

/*
 * A worker of models, in a process of its own: `node model-kill-app.ts HOME BUS PROCESS`. It is asked twice: before a tool, and after it. The
 * first process never ends its second answer, the second one when it is told to.
 */

const pen = new Pen()
const look = tool('look', { description: 'Looks.', input: z.object({}), run: () => 'a tide' })
export const writer = agent('writer', { model: model(pen.model), instructions: 'Write.', tools: [look] })
export const options = { name: 'writing', use: [writer, look] }

if (import.meta.main) {
  const [home, bus, number] = process.argv.slice(2) as [string, string, string]
  await start(app(options), { home, bus, only: ['models'] })
  const isFirst = number === '1'
  if (isFirst) {
    const first = await pen.sheet()
    first.think('I should look. ')
    first.write('Let me look: ', '🌊. ')
    first.part({ type: 'tool-call', toolCallId: 'c1', toolName: 'look', input: '{}' })
    first.end('tool-calls')
  }
  const second = await pen.sheet()
  second.think(isFirst ? 'About the night. ' : 'About the day. ')
  if (isFirst) second.write('It was a dark ', 'and ')
  else {
    second.write('On a bright ', 'mörning ')
    await once(process, 'message')
    second.write('of the 🌊 ', 'it ended.')
    second.end()
  }
}
