import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { agent, app, model, start } from '../src/index.ts'
import { withHome } from './lib/host.ts'
import { natsOptions, withLog, withNats } from './lib/nats.ts'

/*
 * A provider is down for three minutes while 200 tasks call it at once, with a model `limit` of 20: do all complete, and how many
 * requests reach the provider after its first failure? Each worker is its own process.
 *
 *     node bench/outage.ts [--seconds 180] [--tasks 200] [--workers 1,3] [--bus nats] [--kill]
 *
 * `--kill`: in the middle of the outage the probing worker is killed during its request.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...natsOptions,
    bus: { type: 'string', default: 'sqlite' },
    seconds: { type: 'string', default: '180' },
    tasks: { type: 'string', default: '200' },
    workers: { type: 'string', default: '1,3' },
    kill: { type: 'boolean', default: false },
  },
})
const tasks = Number(values.tasks)
const awayMs = Number(values.seconds) * 1_000
const pidHeader = 'x-pid'
const overloaded = '{"error":{"message":"overloaded"}}'

/** A provider that rejects requests until the outage ends, and counts them. */
async function startProvider(killProbing: (pid: number) => boolean) {
  const counted = { atFirst: 0, refused: 0, answered: 0 }
  let failedAt: number | undefined
  const server = createServer((request, response) => {
    request.resume()
    const away = failedAt === undefined ? 0 : performance.now() - failedAt
    if (away < awayMs) {
      failedAt ??= performance.now()
      counted.refused++
      // Requests that were in progress when the first one failed.
      if (away < 1_000) counted.atFirst++
      if (values.kill && away > awayMs / 3 && killProbing(Number(request.headers[pidHeader]))) return
      // As slow as an overloaded provider, so that a second probe would show.
      const refuse = () => response.writeHead(503, { 'content-type': 'application/json' }).end(overloaded)
      setTimeout(refuse, 200)
      return
    }
    counted.answered++
    const chunk = (delta: object, finish_reason: string | null) =>
      `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 0, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`${chunk({ role: 'assistant', content: 'Done.' }, null)}${chunk({}, 'stop')}data: [DONE]\n\n`)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const stop = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url, counted, stop }
}

async function measure(bus: string, home: string, workers: number): Promise<void> {
  const begin = performance.now()
  const children: ChildProcess[] = []
  let killed = false
  const provider = await startProvider(pid => {
    const probing = killed ? undefined : children.find(child => child.pid === pid)
    return (killed ||= probing?.kill('SIGKILL') ?? false) && probing !== undefined
  })
  for (let i = 0; i < workers; i++) {
    const env = { ...process.env, TIDINGS_LOG_LEVEL: 'error' }
    const child = fork(import.meta.filename, [provider.url, bus, home], { env })
    children.push(child)
    await once(child, 'message')
  }
  const reader = await start(app({ name: 'reader', use: [] }), { bus, home, only: [] })
  await reader.bus.publishAll(Array.from({ length: tasks }, () => ({ type: 'question', data: 'Why?' })))
  const ended = { completed: 0, failed: 0 }
  const { signal } = new AbortController()
  for await (const { event } of reader.bus.follow('0', [{ types: ['agent.task.*'] }], signal)) {
    ended[event.type === 'agent.task.completed' ? 'completed' : 'failed']++
    if (ended.completed + ended.failed === tasks) break
  }
  const seconds = ((performance.now() - begin) / 1_000).toFixed(1)
  const { atFirst, refused, answered } = provider.counted
  console.log(
    `${reader.bus.driver.name}, ${workers} processes${killed ? ', one killed' : ''}, down for ${values.seconds} s: ` +
      `${ended.completed} completed, ${ended.failed} failed after ${seconds} s; ` +
      `${refused} requests refused (${atFirst} of them in the first second), ${answered} answered`,
  )
  await reader.stop()
  for (const child of children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
    child.disconnect()
    await once(child, 'exit')
  }
  provider.stop()
}

const [baseURL, bus, home] = positionals
if (process.send && baseURL && bus && home) {
  const provider = createOpenAICompatible({ name: 'away', baseURL, headers: { [pidHeader]: String(process.pid) } })
  const writer = agent('writer', {
    on: 'question',
    model: model(provider.chatModel('m'), { limit: 20 }),
    instructions: 'Answer.',
  })
  const running = await start(app({ name: 'outage', use: [writer] }), { home, bus, only: ['agents', 'models'] })
  process.send('ready')
  process.once('disconnect', () => void running.stop())
} else {
  for (const workers of values.workers.split(',').map(Number))
    await withHome(folder =>
      values.bus === 'sqlite'
        ? measure('sqlite', folder, workers)
        : withNats(values.bus, values.sync, server => withLog(server, log => measure(log, folder, workers))),
    )
}
