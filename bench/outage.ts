import { parseArgs } from 'node:util'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { agent, app, model, start } from '../src/index.ts'
import { withHome } from './lib/host.ts'

/*
 * A provider is away for three minutes while 200 tasks ask at once, with a model `limit` of 20: do all complete, and how many
 * requests reach the provider meanwhile?
 *
 *     node bench/outage.ts [--seconds 180] [--tasks 200] [--workers 1,3] [--bus nats://HOST:PORT]
 */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '180' },
    tasks: { type: 'string', default: '200' },
    workers: { type: 'string', default: '1,3' },
    bus: { type: 'string' },
  },
})
const tasks = Number(values.tasks)
const awayMs = Number(values.seconds) * 1_000

for (const workers of values.workers.split(',').map(Number)) await withHome(home => measure(home, workers))

async function measure(home: string, workers: number): Promise<void> {
  const begin = performance.now()
  const counted = { refused: 0, answered: 0 }
  const server = createServer((request, response) => {
    request.resume()
    if (performance.now() - begin < awayMs) {
      counted.refused++
      response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":{"message":"overloaded"}}')
      return
    }
    counted.answered++
    const chunk = (delta: object, finish_reason: string | null) =>
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`${chunk({ role: 'assistant', content: 'Done.' }, null)}${chunk({}, 'stop')}data: [DONE]\n\n`)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const writer = agent('writer', {
    on: 'question',
    model: model(createOpenAICompatible({ name: 'away', baseURL }).chatModel('m'), { limit: 20 }),
    instructions: 'Answer.',
  })
  const bus = values.bus === undefined ? 'sqlite' : `${values.bus}/outage-${process.pid}-${workers}`
  const running = []
  for (let i = 0; i < workers; i++)
    running.push(await start(app({ name: 'outage', use: [writer] }), { home, bus, only: ['agents', 'models'] }))
  const log = running[0]!.bus
  await log.publishAll(Array.from({ length: tasks }, () => ({ type: 'question', data: 'Why?' })))
  let completed = 0
  let failed = 0
  for await (const { event } of log.follow(0, [{ types: ['agent.task.*'] }], new AbortController().signal)) {
    if (event.type === 'agent.task.completed') completed++
    else failed++
    if (completed + failed === tasks) break
  }
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1)
  console.log(
    `${log.driver.name}, ${workers} workers, away for ${values.seconds} s: ${completed} completed, ${failed} failed after ${seconds} s; ` +
      `${counted.refused} requests refused, ${counted.answered} answered`,
  )
  await Promise.all(running.map(each => each.stop()))
  server.closeAllConnections()
  server.close()
}
