import { join } from 'node:path'
import { agent } from '../../../src/agents/agent.ts'
import { beginning } from '../../../src/bus/cursor.ts'
import { mcp } from '../../../src/mcp/client/mcp.ts'
import { app } from '../../../src/runtime/app.ts'
import { start } from '../../../src/runtime/start.ts'
import type { CallError } from '../../../src/tasks/script.ts'

/** `node worker.ts FOLDER URL BUS`: calls the three tools of the server once, whatever happens, and prints what came of each. */
const [, , folder, url, bus] = process.argv as unknown as [string, string, string, string, string]
const subject = mcp('subject', { url, pins: join(folder, 'mcp.lock.json'), tools: { '*': { timeout: '2h' } } })

const outcome = (call: Promise<unknown>) => call.catch(({ code }: CallError) => code)
const boss = agent('boss', {
  on: 'kills.go',
  async run(ctx) {
    const booked = outcome(ctx.call(subject.tool('book'), {})).then(said => (ctx.emit({ type: 'kills.booked', data: { said } }), said)) // biome-ignore format: one line
    const all = [outcome(ctx.call(subject.tool('slow'), {})), outcome(ctx.call(subject.tool('report'), {})), booked]
    const [slow, report, book] = await Promise.all(all)
    ctx.emit({ type: 'kills.done', data: { slow, report, book } })
  },
})

const running = await start(app({ use: [boss, subject] }), { home: join(folder, 'home'), bus, only: ['agents', 'tools'] }) // biome-ignore format: one line
await running.bus.publish({ id: 'go', type: 'kills.go', data: null })
console.log('started')
for await (const { event } of running.bus.follow(beginning, undefined, new AbortController().signal)) {
  if (event.type === 'kills.booked') console.log(JSON.stringify({ booked: (event.data as { said: string }).said }))
  if (event.type !== 'kills.done') continue
  console.log(JSON.stringify({ done: event.data }))
  break
}
await running.stop()
