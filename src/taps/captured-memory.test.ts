import { expect, test } from 'vitest'
import { Bus } from '../bus/bus.ts'
import { MemoryDriver } from '../testing/memory/driver.ts'
import { MemoryLog } from '../testing/memory/log.ts'
import { HttpTap } from './http/http-tap.ts'
import { McpExchange } from './mcp/http-exchange.ts'
import { McpObserver } from './mcp/observer.ts'
import { ToolCallRecorder } from './mcp/tool-calls.ts'
import { CaptureRoom } from './capture-room.ts'
import { Recorder } from './recorder.ts'

/* What a tap keeps of bodies that pass at the same time, whatever clients send. */

const megabyte = Buffer.alloc(1024 * 1024, ' ')
const head = { method: 'POST', url: '/x', headers: {}, rawHeaders: ['content-type', 'text/plain'] }

test('of very many requests at once, an HTTP tap keeps size and digest', async () => {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const recorder = new Recorder({ name: 'test', open: async () => bus })
  await recorder.start()
  const tap = new HttpTap(recorder, { routes: ['POST /x'] })
  const exchanges = Array.from({ length: 257 }, () => tap.begin(head)!)
  for (const each of exchanges) each.requestChunk(megabyte)
  for (const each of [exchanges[0]!, exchanges.at(-1)!]) {
    each.requestEnd()
    await each.durable()
  }
  await recorder.stop()
  const bodies: unknown[] = []
  for await (const { event } of bus.read({ filter: [{ types: ['http.request'] }] }))
    bodies.push(Object.keys(((await bus.resolve(event)).data as { body: object }).body))
  expect(bodies).toEqual([
    ['bytes', 'text'],
    ['bytes', 'sha256'],
  ])
})

test('of very many messages at once, an MCP tap reads as many as it has room for', () => {
  const unread: string[] = []
  const seen: string[] = []
  const record = { end: () => {}, progress: () => {} }
  const listener = { begin: ({ tool }: { tool: string }) => (seen.push(tool), record), listed: () => {} }
  const observer = new McpObserver<object>(listener)
  const room = new CaptureRoom(2 * megabyte.length)
  const exchanges = [1, 2, 3].map(id => {
    const request = { method: 'POST', path: '/mcp', headers: {}, origin: { correlationid: '' } }
    const onUnread = (why: string) => void unread.push(why)
    const exchange = new McpExchange(request, {
      observer,
      name: String(id),
      share: room.share(),
      onUnread,
    })
    const call = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: `tool-${id}` } })
    exchange.requestChunk(Buffer.concat([Buffer.from(call), megabyte.subarray(call.length)]))
    return exchange
  })
  for (const each of exchanges) each.requestEnd()
  expect(seen).toEqual(['tool-1', 'tool-2'])
  expect(unread).toEqual(['too many messages pass at once'])
})

test('a server that shows another list of tools each time does not fill the log, nor do answers to its questions', async () => {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const recorder = new Recorder({ name: 'test', open: async () => bus })
  await recorder.start()
  const calls = new ToolCallRecorder(recorder)
  for (let i = 0; i < 1_010; i++) calls.listed({ tools: [{ name: `tool-${i}`, hash: String(i) }] })
  const origin = { correlationid: '0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000' }
  calls.begin({ tool: 'add', data: { input: {}, inputResponses: { form: megabyte.toString().repeat(4) } }, origin })
  await recorder.stop()
  const events = await Array.fromAsync(bus.read({ filter: [{ types: ['tool.*'] }] }))
  expect(events.filter(({ event }) => event.type === 'tool.listed')).toHaveLength(1_000)
  const [call] = events.filter(({ event }) => event.type === 'tool.invoke')
  expect((await bus.resolve(call!.event)).data).toMatchObject({
    input: {},
    inputResponses: { omitted: { bytes: 4 * megabyte.length + 11 } },
  })
})
