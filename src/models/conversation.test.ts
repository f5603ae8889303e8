import { expect, it, onTestFinished, vi } from 'vitest'
import { app } from '../runtime/app.ts'
import { start } from '../runtime/start.ts'
import type { ModelRequest } from '../tasks/conversation.ts'
import { MemoryDriver } from '../testing/memory/driver.ts'
import { MemoryLog } from '../testing/memory/log.ts'
import { Conversations } from './conversation.ts'

/** Two conversations with long messages, then the next request of the first one: how many events it reads from the log. */
async function readsWith(maxCachedChars: number): Promise<number> {
  const running = await start(app({ use: [] }), { driver: new MemoryDriver(new MemoryLog()), only: [] })
  onTestFinished(() => running.stop())
  const { bus } = running
  const conversations = new Conversations(bus, maxCachedChars)
  const ask = async (correlationid: string | undefined, prev: string | null) => {
    const said = await bus.publish({
      type: 'question',
      data: 'a'.repeat(1_000),
      ...(correlationid && { correlationid }),
    })
    const message = { role: 'user', event: said.id } as const
    const data: ModelRequest = { definition: '', prev, messages: [message], first: message, window: 200 }
    const { id } = await bus.publish({ type: 'model.invoke', target: 'm', correlationid: said.correlationid, data })
    const asked = (await bus.get(id, said.correlationid))!
    const get = vi.spyOn(bus, 'get')
    const prompt = await conversations.prompt(asked, 'Help.')
    const reads = get.mock.calls.length
    get.mockRestore()
    return { asked, prompt, reads }
  }
  const { asked } = await ask(undefined, null)
  await ask(undefined, null)
  const { prompt, reads } = await ask(asked.correlationid, asked.id)
  expect(prompt.map(({ role }) => role)).toEqual(['system', 'user', 'user'])
  return reads
}

it('caches as many messages as fit, and reads the others from the log', async () => {
  expect(await readsWith(10_000)).toBe(1)
  // The first request and its message too.
  expect(await readsWith(1_500)).toBe(3)
})
